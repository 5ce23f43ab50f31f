"""The contract of rollouts (`method/rollout`), and the sampling settings that most of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.sampling import Sampling
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from luthier.contracts.model import Model
    from luthier.contracts.sampling import Answer


class Rollout(Protocol):
    """Samples answers to prompts of token ids, `count` to each; all answers to the first prompt come first.

    The answers follow from the weights, `seed` and the `numbers` that identify the prompts.
    `Answer.sampling_logprobs` holds the log-probability of each token in the distribution that it was sampled from.

    - *Given*: the network in evaluation mode, prompts as int32 arrays of token ids, a number that identifies each
      of them, how many answers to each, and a seed. `SampledRollout` has the settings and their checks.
    - *Returns*: `count` answers to each prompt, all of the first prompt first; `ids`, `text`, `logprobs` under the
      trainer's network and `sampling_logprobs` under the distribution that was sampled, a finite number for each id.
    - *Called*: `use` once, before sampling; then at the beginning of each step of the data, and `greedy` where an
      advantage or the evaluation asks for it.
    - *Ranks*: on every rank with its own prompts.
    - *Raises*: RecipeError of `use` where it cannot sample from the model; what an engine raises ends the run.
    - *Resume*: answers follow from the weights, the seed and the numbers: keep no state.
    - *Nested*: a keyword-only parameter filled by an answer of `method/rollout/NAME/`.
    """

    temperature: float
    """Of the sampling, and of the log-probabilities of the loss."""
    max_new_tokens: int
    """Tokens of an answer, at most."""

    def __call__(
        self, network: nn.Module, prompts: Sequence[NDArray[np.int32]], numbers: Sequence[int], count: int, seed: int
    ) -> list[Answer]:
        """`count` answers to each prompt, those of the first prompt first."""

    def greedy(self, network: nn.Module, prompts: Sequence[NDArray[np.int32]]) -> list[Answer]:
        """One answer to each prompt at temperature 0."""

    def use(self, model: Model, adapted: bool) -> None:
        """Set the model that the network comes from, and whether its weights may have changed; called before sampling.

        RecipeError where the rollout cannot sample from it.
        """


@dataclass(kw_only=True, eq=False)
class SampledRollout:
    """The sampling settings of a rollout.

    Tokens are sampled at `temperature` from the `top_k` most likely ones (0: all) of the smallest set whose probability
    reaches `top_p`. An answer ends at the model's stop tokens, before any of the texts in `stop`, or after
    `max_new_tokens`. RecipeError for a temperature of 0 or less, as all answers of a group would be the same.
    """

    max_new_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: list[str] | None = None

    sampling: Sampling = field(init=False, repr=False)
    """The settings as generation takes them, for one answer with the seed 0."""
    _greedy: Sampling = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise RecipeError(
                f"method.rollout.temperature is {self.temperature}: all answers to a prompt would be the same.",
                where="method.rollout.temperature",
                hint="Use 1, or a little less.",
            )
        stops = tuple(self.stop or ())
        self.sampling = Sampling(self.max_new_tokens, self.temperature, self.top_p, self.top_k, stops)
        self._greedy = replace(self.sampling, temperature=0.0, top_p=1.0, top_k=0)
