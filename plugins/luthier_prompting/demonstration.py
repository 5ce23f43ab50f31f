"""An in-context example: a question and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from luthier.api import prompt_key


@dataclass(frozen=True)
class Demonstration:
    """A question and its answer. `text` is the text that the question is about, without the instruction around it.

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
        return asdict(self)


def question_key(text: str) -> bytes:
    """A 16-byte hash of a question's text, without regard to white space."""
    return prompt_key({"text": text})
