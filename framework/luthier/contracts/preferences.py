"""What the objectives of preference methods are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class PreferencePairs:
    """P pairs of answers to the same prompt, one preferred to the other; every tensor is float32 [P].

    `chosen` and `rejected` are log p(answer | prompt), summed over its tokens, of which there are `chosen_tokens` and
    `rejected_tokens`. `margin` is how much better the chosen answer is by the data's own word, 0 where it says
    nothing. The reference is asked for when an objective first uses it, and never for one that does without.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_tokens: Tensor
    rejected_tokens: Tensor
    margin: Tensor
    reference: Callable[[], tuple[Tensor, Tensor]]

    @cached_property
    def _before(self) -> tuple[Tensor, Tensor]:
        return self.reference()

    @property
    def chosen_ratio(self) -> Tensor:
        """log p(chosen) - log p_ref(chosen)."""
        return self.chosen - self._before[0]

    @property
    def rejected_ratio(self) -> Tensor:
        """log p(rejected) - log p_ref(rejected)."""
        return self.rejected - self._before[1]

    @property
    def difference(self) -> Tensor:
        """How much more the chosen answer gained on the reference than the rejected one."""
        return self.chosen_ratio - self.rejected_ratio

    @property
    def chosen_mean(self) -> Tensor:
        """log p(chosen) a token."""
        return self.chosen / self.chosen_tokens

    @property
    def rejected_mean(self) -> Tensor:
        """log p(rejected) a token."""
        return self.rejected / self.rejected_tokens


PairLoss = Callable[[PreferencePairs], Tensor]
"""The loss of each pair, [P]; its settings are bound by the recipe."""


@dataclass(frozen=True)
class RatedAnswers:
    """n answers: `ratio` is log p - log p_ref of each, float32 [n], `liked` whether it is a good one, bool [n].

    `drift` is a scalar without gradient, how far the model is from its reference on average; made when asked for.
    """

    ratio: Tensor
    liked: Tensor
    estimate: Callable[[], Tensor]

    @cached_property
    def drift(self) -> Tensor:
        return self.estimate().clamp(min=0)


AnswerLoss = Callable[[RatedAnswers], Tensor]
"""The loss of each answer, [n]; its settings are bound by the recipe."""
