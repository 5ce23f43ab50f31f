"""How an example becomes text, and what scores a prompt while it is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Many
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
    """The score of a model on some examples, and of each its answer and its own score; more is better.

    An answer is empty where only a loss is measured. None stands for an example that holds no answer to compare with.
    """

    score: float
    """The mean over the examples; more is better."""
    each: Many[tuple[str, float] | None]
    """The answer to each example and its score; None for an example that holds no answer."""


class PromptScorer(Protocol):
    """Says how well the model answers with a prompt, on examples that are held out for choosing."""

    examples: Many[Example]
    """In the order in which they are asked."""
    most: int
    """How many examples there are."""

    def __call__(self, prompt: Prompt, count: int) -> float:
        """The score of the first `count` of them, the same ones each time; more is better."""

    def judged(self, prompt: Prompt, examples: Many[Example]) -> PromptScores:
        """What the model makes of any examples with a prompt."""

    def write(self, conversations: Many[Many[dict[str, Any]]], sampling: Sampling) -> list[str]:
        """What the model says next in conversations as they stand, without any prompt."""


class Prompt(Protocol):
    """How does an example become text? Inherit it: what most prompts leave as it is has a body here."""

    def learn(self, examples: Iterable[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        """See the training split, and nothing but it, before anything is encoded."""

    def __call__(self, example: Example) -> Example:
        """The example with the `messages` that the model shall see; the given one stays as it is.

        Threads may share it. A conversation that goes on with a new question is an example without an answer.
        """

    def save(self, folder: Path) -> None:
        """Write what it learned into an artifact, so that `load` can show the same without the training split."""

    def load(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        """Take up what `save` wrote."""

    def choose(self, judge: PromptScorer) -> None:
        """Look for the words with which the model answers best; the stage `search` calls it, after `learn`."""
        raise RecipeError(
            f"{type(self).__name__} has no words to choose among.",
            where="prompt",
            hint="Use prompt=searched, or leave `search` out of the stages.",
        )

    def opening(self) -> list[dict[str, Any]] | None:
        """The messages that it puts before every conversation and all that it does; None where it does more."""
        return None

    @property
    def warnings(self) -> list[str]:
        """What somebody should see in the report, a sentence each."""
        return []
