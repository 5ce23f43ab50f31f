"""The layouts of passages and a question in a conversation, one class a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luthier_retrieval.chunking import Passage


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """The text of the system prompt, and of the user's turn that holds passages and question."""

    system: str
    turn: str


class Layout(Protocol):
    """Puts numbered passages before a question. Passages are untrusted data, which the layout marks as such."""

    def __call__(self, question: str, passages: Sequence[Passage], absent: str) -> LayoutResult:
        """`absent` is the answer to a question that the passages do not answer. `passages` may be empty."""


def task_instruction(absent: str) -> str:
    """The instruction to answer from the sources, to cite them, and to abstain with `absent`."""
    return (
        "Answer the question from the numbered sources and from nothing else. Put the number of the source behind "
        f"what you take from it, as [1]. If the sources do not answer the question, say: {absent}"
    )


NO_SOURCE = "(no source was found)"
