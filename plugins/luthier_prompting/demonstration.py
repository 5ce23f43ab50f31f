"""An example that is shown: a question and the answer that was given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from luthier.api import prompt_key


@dataclass(frozen=True)
class Demonstration:
    """A question and its answer. `text` is what the question is about, without the words around it.

    `label` is what `balanced` balances: the class, or the answer where there is none.
    """

    question: str
    text: str
    answer: str
    label: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""

    @cached_property
    def key(self) -> bytes:
        """16 bytes that it shares with whoever asks the same."""
        return question_key(self.text)

    def known(self) -> dict[str, Any]:
        """What a template gets to see of it."""
        return {**self.columns, "question": self.question, "text": self.text, "answer": self.answer}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def question_key(text: str) -> bytes:
    """16 bytes that two questions share if they say the same; white space does not count."""
    return prompt_key({"text": text})
