"""The contract of prompts, and of the scorer with which a prompt search compares them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from luthier.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.examples import Example
    from luthier.contracts.sampling import Sampling


@dataclass(frozen=True, slots=True)
class PromptScores:
    """The score of a model on some examples, and the generated answer and score of each; higher is better.

    An answer is empty where only a loss is measured. None stands for an example without a reference answer.
    """

    score: float
    """The mean over the examples; more is better."""
    each: Sequence[tuple[str, float] | None]
    """The answer to each example and its score; None for an example that holds no answer."""


class PromptScorer(Protocol):
    """Scores a prompt by the model's answers to examples that are held out for the search."""

    examples: Sequence[Example]
    """The held-out examples, in the order in which they are used."""
    size: int
    """The number of held-out examples."""

    def __call__(self, prompt: Prompt, count: int) -> float:
        """The score on the first `count` held-out examples, the same ones each time; higher is better."""

    def score(self, prompt: Prompt, examples: Sequence[Example]) -> PromptScores:
        """The scores and generated answers of any examples with a prompt."""

    def generate(self, conversations: Sequence[Sequence[dict[str, Any]]], sampling: Sampling) -> list[str]:
        """The answers that the model generates to conversations as they are, without any prompt."""


class Prompt(Protocol):
    """Changes the messages of an example before it is encoded. Inherit it: only `__call__` has no body here.

    - *Given*: `learn` the examples of the training split and the tokenizer; `__call__` one example, without an
      answer in a chat.
    - *Returns*: a new example with `messages`, dictionaries with `role` and `content`; the last one is the answer,
      where there is one.
    - *Called*: `learn` once, before any example is encoded; `__call__` for each example that is encoded, measured
      or asked; `save` with the artifact and `load` instead of `learn` where that is opened; `choose` in the stage
      `search`.
    - *Ranks*: `learn` and `__call__` on every rank, and from several threads; `choose` and `save` on the first.
    - *Raises*: DataError for an example without the columns that it needs; RecipeError where it cannot learn or
      choose.
    - *Resume*: it learns again from the same examples; what it chose is read from the run's folder.
    - *Nested*: a keyword-only parameter: `selection: random` in the defaults is the question `prompt/selection`.
    """

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """Fit the prompt to the training split, before any example is encoded."""

    @abstractmethod
    def __call__(self, example: Example) -> Example:
        """A new example with the `messages` that the model is given; the argument is not changed.

        It may be called from several threads. In a chat, the example has no answer.
        """

    def save(self, folder: Path) -> None:
        """Write its learned state into an artifact, so that `load` restores it without the training split."""

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Restore what `save` wrote."""

    def choose(self, scorer: PromptScorer) -> None:
        """Search for the prompt with the best score; the stage `search` calls it, after `learn`."""
        raise RecipeError(
            f"{type(self).__name__} has no prompts to search.",
            where="prompt",
            hint="Use prompt=searched, or leave `search` out of the stages.",
        )

    def opening(self) -> list[dict[str, Any]] | None:
        """The messages that it puts before every conversation, if that is its only change; else None."""
        return None

    @property
    def warnings(self) -> list[str]:
        """Warnings for the report, a sentence each."""
        return []
