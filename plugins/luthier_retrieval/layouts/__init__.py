"""How passages and a question become a turn. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier_retrieval.chunking import Passage


@dataclass(frozen=True, slots=True)
class Laid:
    """What the system prompt says, and what the user's turn becomes."""

    system: str
    turn: str


class Layout(Protocol):
    """Puts numbered passages before a question. A passage is data: the layout keeps it apart from what is asked."""

    def __call__(self, question: str, passages: Sequence[Passage], absent: str) -> Laid:
        """`absent` is the answer to what the passages do not say. There may be no passage."""


def task(absent: str) -> str:
    """What the model is to do with the sources."""
    return (
        "Answer the question from the numbered sources and from nothing else. Put the number of the source behind "
        f"what you take from it, as [1]. If the sources do not answer the question, say: {absent}"
    )


def titled(passage: Passage) -> str:
    """A passage below its headings."""
    return f"{passage.heading}\n{passage.text}" if passage.heading else passage.text


NOTHING = "(no source was found)"
