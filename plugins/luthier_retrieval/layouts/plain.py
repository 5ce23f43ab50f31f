"""Passages as they are, with a number."""

from __future__ import annotations

from collections.abc import Sequence

from luthier_retrieval.chunking import Passage
from luthier_retrieval.layouts import NOTHING, Laid, Layout, task, titled


class Plain(Layout):
    """`[1] …` before the question. Nothing tells the text of a source from what is asked: for documents of your own."""

    def __call__(self, question: str, passages: Sequence[Passage], absent: str) -> Laid:
        said = [f"[{number}] {titled(passage)}" for number, passage in enumerate(passages, 1)] or [NOTHING]
        return Laid(task(absent), "\n\n".join([*said, question]))
