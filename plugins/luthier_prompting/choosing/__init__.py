"""Which prompts are tried on how many examples. One way a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from luthier.api import Example, PromptScorer, PromptScores
from luthier_prompting.candidate import Candidate
from luthier_prompting.demonstration import Demonstration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out when a combination was asked so many questions."""

    instruction: int
    examples: int
    count: int
    value: float


@dataclass
class Ground:
    """What is chosen among, and who says how good it is.

    A prompt is an instruction with a set of examples, by their numbers; the first instruction says nothing and the
    first set shows nothing. Further ones may be added. `pool` holds what a set may show, and `train` the training
    examples that they were made of. `fitting` takes what comes, in its order, as long as it fits into a prompt. The
    judge may be asked `budget` questions; `notes` are told in the report.
    """

    instructions: list[str]
    sets: list[list[Demonstration]]
    judge: PromptScorer
    budget: int
    template: str | None = None
    pool: Sequence[Demonstration] = ()
    train: Sequence[Example] = ()
    fitting: Callable[[Iterable[Demonstration]], list[Demonstration]] = list
    notes: list[str] = field(default_factory=list)
    asked: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.instructions), len(self.sets)

    def number(self, words: str) -> int:
        """Of an instruction, which is added where it is new."""
        return _place(self.instructions, words.strip())

    def set_number(self, shown: Iterable[Demonstration]) -> int:
        """Of a set of examples, which is added where it is new."""
        return _place(self.sets, self.fitting(shown))

    def prompt(self, instruction: int, examples: int) -> Candidate:
        return Candidate(self.instructions[instruction], self.template, self.sets[examples])

    def score(self, instruction: int, examples: int, count: int) -> Trial:
        """Ask the first `count` questions that are held out for choosing."""
        self.asked += count
        return Trial(instruction, examples, count, self.judge(self.prompt(instruction, examples), count))

    def judged(self, instruction: int, examples: int, questions: Sequence[Example]) -> PromptScores:
        """Ask any questions, and hear of each."""
        self.asked += len(questions)
        return self.judge.score(self.prompt(instruction, examples), questions)


class Choosing(Protocol):
    """Tries prompts within the budget; the best of those that were asked most questions wins."""

    writes: bool = False
    """Whether it writes instructions itself, so that it needs none to begin with."""

    def __call__(self, ground: Ground) -> list[Trial]:
        """What was tried; the prompt (0, 0), which says nothing and shows nothing, is among it."""


def _place(among: list[T], one: T) -> int:
    if one not in among:
        among.append(one)
    return among.index(one)
