"""Prompt optimisers, one class a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from luthier.api import Demonstration, Example, PromptScorer, PromptScores, RecipeError
from luthier_prompting.candidate import Candidate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trial:
    """The score `value` of an instruction with an example set, by their numbers, on the first `count` questions."""

    instruction: int
    examples: int
    count: int
    value: float


@dataclass
class CandidateSpace:
    """The candidate prompts of an optimisation, and the scorer with its budget.

    A candidate is an instruction with an example set, by their numbers; instruction 0 is empty, and so is set 0. An
    optimiser may add further ones. `pool` holds the demonstrations of which sets are made, and `train` the training
    examples that they come from. `fitting` keeps those of a sequence of demonstrations that fit into a prompt, in
    order. At most `budget` questions may be scored; `questions_used` counts them. `notes` are sentences for the report.
    """

    instructions: list[str]
    sets: list[list[Demonstration]]
    scorer: PromptScorer
    budget: int
    template: str | None = None
    pool: Sequence[Demonstration] = ()
    train: Sequence[Example] = ()
    fitting: Callable[[Iterable[Demonstration]], list[Demonstration]] = list
    notes: list[str] = field(default_factory=list)
    questions_used: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of instructions and of example sets."""
        return len(self.instructions), len(self.sets)

    @property
    def combinations(self) -> list[tuple[int, int]]:
        """All pairs of an instruction and an example set; the first is the empty prompt (0, 0)."""
        instructions, sets = self.shape
        return [(instruction, examples) for instruction in range(instructions) for examples in range(sets)]

    def instruction_number(self, text: str) -> int:
        """The number of an instruction, which is added if it is new."""
        return _index_of(text.strip(), self.instructions)

    def set_number(self, shown: Iterable[Demonstration]) -> int:
        """The number of an example set, which is added if it is new."""
        return _index_of(self.fitting(shown), self.sets)

    def prompt(self, instruction: int, examples: int) -> Candidate:
        return Candidate(self.instructions[instruction], self.template, self.sets[examples])

    def score(self, instruction: int, examples: int, count: int) -> Trial:
        """Score a candidate on the first `count` validation questions."""
        self.questions_used += count
        return Trial(instruction, examples, count, self.scorer(self.prompt(instruction, examples), count))

    def scores(self, instruction: int, examples: int, questions: Sequence[Example]) -> PromptScores:
        """Score a candidate on any questions, with the answer to each and its own score."""
        self.questions_used += len(questions)
        return self.scorer.score(self.prompt(instruction, examples), questions)


class PromptOptimizer(Protocol):
    """Scores candidate prompts within the budget; the best of those scored on the most questions is chosen."""

    writes: bool = False
    """Whether it writes instructions itself, so that none need be given."""

    def __call__(self, space: CandidateSpace) -> list[Trial]:
        """All trials, those of the empty prompt (0, 0) among them."""


def check_at_least(**settings: tuple[int, int]) -> None:
    """RecipeError for a setting of `prompt.choosing`, given as (value, minimum), that is less than its minimum."""
    for name, (value, minimum) in settings.items():
        if value < minimum:
            where = f"prompt.choosing.{name}"
            raise RecipeError(f"{where} is {value}.", where=where, hint=f"Use {minimum} or more.")


def _index_of(item: T, items: list[T]) -> int:
    if item not in items:
        items.append(item)
    return items.index(item)
