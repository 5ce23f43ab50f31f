"""The contract of selections of in-context examples (`prompt/selection`), and the examples that they rank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Protocol

from luthier.data.examples import prompt_key


@dataclass(frozen=True)
class Demonstration:
    """A `question` and its `answer`. `text` is the text that the question is about, without the instruction around it.

    `label` is the class, or the answer where there is none; `selection=balanced` balances it. `columns` are the further
    columns that the template uses, and `where` is the example's place in the data.
    """

    question: str
    text: str
    answer: str
    label: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    @cached_property
    def key(self) -> bytes:
        """A 16-byte hash of the text, equal for equal questions."""
        return question_key(self.text)

    def fields(self) -> dict[str, Any]:
        """The variables that a template can use."""
        return {**self.columns, "question": self.question, "text": self.text, "answer": self.answer}

    def as_json(self) -> dict[str, Any]:
        """Its fields as plain values."""
        return asdict(self)


def question_key(text: str) -> bytes:
    """A 16-byte hash of a question's text, without regard to white space."""
    return prompt_key({"text": text})


class Selection(Protocol):
    """Ranks the training examples as in-context examples for a question.

    - *Given*: `learn` the pool, at most `prompt.pool` demonstrations of the training split; `__call__` the text
      that a question is about.
    - *Returns*: numbers of the pool, each at most once, the best first; a generator, as no more are taken than fit
      the prompt.
    - *Called*: `learn` once, before the first question; `__call__` for each question, once for all where it is
      `fixed`.
    - *Ranks*: on every rank, and from several threads.
    - *Raises*: RecipeError of the constructor for settings that cannot be.
    - *Resume*: it learns again from the same pool; random numbers follow from a seed and the question.
    - *Nested*: a keyword-only parameter: `/prompt/embedding@embedding: hashed` in the defaults, as
      `selection=nearest` has.
    """

    fixed: bool
    """Whether the ranking is the same for every question."""
    best_last: bool
    """Whether the best example is to stand last, next to the question."""

    def learn(self, pool: Sequence[Demonstration]) -> None:
        """Index the examples that can be shown, before the first question."""

    def __call__(self, text: str) -> Iterable[int]:
        """The numbers of examples in the pool for a question about `text`, the best first."""
