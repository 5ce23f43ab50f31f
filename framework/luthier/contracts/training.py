"""What a loss gives, what prepares the batches of a step, and what an optimizer is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.batch import Batch, Row
    from luthier.contracts.examples import Example


@dataclass(slots=True)
class Loss:
    """The sum of a loss over a batch and the weight to divide it by, both scalars; `metrics` are pairs like it.

    The core divides by the weight of the whole optimizer step, over micro-batches and ranks, so that the update
    does not depend on how a batch was cut.
    """

    sum: Tensor
    """The sum of the loss, a scalar with its graph."""
    weight: Tensor
    """The weight to divide it by, a scalar: tokens, pairs, …"""
    metrics: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measure:
    """How per-example statistics [examples, s] become a value: `reduce` takes their totals [..., s] to values [...]."""

    reduce: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    better: str = "higher"
    """`higher` or `lower`."""

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better is {self.better!r}, and must be 'higher' or 'lower'")


class Preparation(Protocol):
    """What a method makes of the batches of an optimizer step before it trains on them, such as answers to prompts."""

    @property
    def visits(self) -> int:
        """How many optimizer steps in a row are made from what it gives."""

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        """The micro-batches to train on in place of `step`, no more than those; called once for each step of the data.

        `number` counts the steps of the data from the beginning of the run. Everything that is drawn must follow from
        it and from the weights, so that a run that goes on repeats it.
        """

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of it, plain values and tensors."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave, before the first step of a resumed run."""


@runtime_checkable
class StatefulPart(Protocol):
    """A part of a recipe that changes while it trains, such as a reward that counts what it has seen.

    Its state after the last optimizer step is in each checkpoint, for every rank; a resumed run gives it back before
    its first step. A part that holds others has their state in its own.
    """

    def state_dict(self) -> dict[str, Any] | None:
        """What it has become: numbers, texts, tensors and arrays in dicts, lists, tuples and sets.

        Of a reward they are values as JSON holds them, since it may be in a process of its own.

        None where it has no state, such as a part whose nested parts have none.
        """

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become what `state_dict` told."""


def has_state(part: Any) -> TypeGuard[StatefulPart]:
    """Whether a part changes while it trains, and says what it has become."""
    return isinstance(part, StatefulPart) and part.state_dict() is not None


class Optimizer(Protocol):
    """How the trainable weights move: makes the optimizer of a training, and its schedule.

    - *Given*: the names and weights that move, an iterable of pairs; the number of optimizer steps of the whole
      run; `rate`, the factor of the learning rate at which the weight of a name moves (0 is not at all).
    - *Returns*: what Lightning's `configure_optimizers` returns: a torch optimizer, or a dictionary with
      `optimizer` and `lr_scheduler`. `luthier.api` has `parameter_groups` and `scheduled` for both.
      It has every weight whose rate is above 0.
    - *Called*: once, when the training begins, after the adaptation has chosen the weights.
    - *Ranks*: on every rank alike.
    - *Raises*: RecipeError for settings that cannot be.
    - *Resume*: the state of the optimizer and of its schedule is in each checkpoint, by `state_dict`, and given
      back to a fresh one.
    - *Nested*: a positional parameter `schedule`, which `schedule: cosine` in the defaults answers from
      `optimizer/schedule/`.
    """

    def __call__(
        self, named_parameters: Iterable[tuple[str, nn.Parameter]], total_steps: int, rate: Callable[[str], float], /
    ) -> Any:
        """What Lightning's `configure_optimizers` returns."""


class Criterion(Protocol):
    """What a model is measured by: the encoding, the loss and the further measures of a method."""

    likelihood: bool
    """Whether the loss is -log p of each token, so that its exponential is a perplexity."""
    trains_likelihood: bool
    """Whether the loss of a training step is that, too."""
    is_generative: bool
    """Whether the network is a language model: it can be asked, and has a loss on general text."""
    measures: Mapping[str, Measure]
    """What is measured beside the loss, by name."""
    warnings: list[str]
    """What somebody should see in the report, a sentence each."""

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """What the loss needs of an example."""

    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each row, [rows, s] by name; `loss` is (sum, weight)."""
