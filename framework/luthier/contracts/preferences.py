"""The inputs and outputs of the objectives of preference methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class PreferencePairs:
    """P pairs of a chosen and a rejected answer to the same prompt; every tensor is float32 [P].

    - `chosen`, `rejected`: log π_θ(answer | prompt), summed over the tokens of the answer, in nats, with gradient.
    - `chosen_tokens`, `rejected_tokens`: tokens of each answer.
    - `margin`: the `margin` column of the data, how much better the chosen answer is; 0 where there is none.
    - `reference_log_probs` () -> (chosen, rejected): log π_ref of both answers, without gradient. Called at most once,
      by the first use of a log-ratio: an objective that uses none needs no reference policy.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    margin: Tensor
    reference_log_probs: Callable[[], tuple[Tensor, Tensor]]

    @cached_property
    def _reference(self) -> tuple[Tensor, Tensor]:
        return self.reference_log_probs()

    @property
    def chosen_log_ratio(self) -> Tensor:
        """log π_θ(chosen) - log π_ref(chosen), in nats, [P]."""
        return self.chosen - self._reference[0]

    @property
    def rejected_log_ratio(self) -> Tensor:
        """log π_θ(rejected) - log π_ref(rejected), in nats, [P]."""
        return self.rejected - self._reference[1]

    @property
    def log_ratio_difference(self) -> Tensor:
        """`chosen_log_ratio - rejected_log_ratio`, in nats, [P]: times β the implicit reward margin of DPO."""
        return self.chosen_log_ratio - self.rejected_log_ratio

    @property
    def chosen_token_mean(self) -> Tensor:
        """log π_θ(chosen) / |chosen|: the mean log-probability per token, [P]."""
        return self.chosen / self.chosen_tokens

    @property
    def rejected_token_mean(self) -> Tensor:
        """log π_θ(rejected) / |rejected|: the mean log-probability per token, [P]."""
        return self.rejected / self.rejected_tokens


class PairLoss(Protocol):
    """An objective of preference pairs, for `method=dpo`: a function of the log-probabilities of both answers.

    - *Given*: `PreferencePairs`: P pairs, float32 [P], with gradient.
    - *Returns*: the loss of each pair, float32 [P]; the method averages over pairs.
    - *Called*: for each micro-batch, and for each held-out batch.
    - *Ranks*: on every rank with its own micro-batches; it calls no collective operation.
    - *Raises*: RecipeError for settings that cannot be; anything else is a fault.
    - *Resume*: nothing: a function keeps no state.
    - *Nested*: `_partial_: true` in the option file: the recipe binds the keyword-only settings, and the method
      calls it with the rest. A setting filled by an answer, such as `/method/objective@objectives.NAME: sigmoid`,
      is a further objective.
    """

    def __call__(self, pairs: PreferencePairs, /) -> Tensor:
        """The loss of each pair, [P]."""


@dataclass(frozen=True)
class RatedAnswers:
    """n single answers with a binary label.

    - `log_ratio` float32 [n]: log π_θ(answer | prompt) - log π_ref(answer | prompt), in nats, with gradient.
    - `liked` bool [n]: True for a desirable answer, False for an undesirable one.
    - `estimate_reference_point` () -> float32 []: an estimate of KL(π_θ ‖ π_ref), without gradient. It costs forward
      passes, so an objective that never reads `reference_point` does not pay for it.
    """

    log_ratio: Tensor
    liked: Tensor
    estimate_reference_point: Callable[[], Tensor]

    @cached_property
    def reference_point(self) -> Tensor:
        """z_0 = max(0, KL estimate), in nats, a scalar without gradient (Ethayarajh et al., 2024)."""
        return self.estimate_reference_point().clamp(min=0)


class AnswerLoss(Protocol):
    """An objective of single labelled answers, for `method=kto`.

    - *Given*: `RatedAnswers`: n answers, float32 [n], with gradient.
    - *Returns*: the loss of each answer, float32 [n]; the method averages over answers.
    - *Called*: for each micro-batch, and for each held-out batch.
    - *Ranks*: on every rank with its own micro-batches; it calls no collective operation.
    - *Raises*: RecipeError for settings that cannot be; anything else is a fault.
    - *Resume*: nothing: a function keeps no state.
    - *Nested*: `_partial_: true` in the option file: the recipe binds the keyword-only settings, and the method
      calls it with the rest. A setting filled by an answer, such as `/method/objective@objectives.NAME: sigmoid`,
      is a further objective.
    """

    def __call__(self, answers: RatedAnswers, /) -> Tensor:
        """The loss of each answer, [n]."""
