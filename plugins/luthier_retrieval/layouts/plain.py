"""Numbered passages without delimiters."""

from __future__ import annotations

from collections.abc import Sequence

from luthier_retrieval.chunking import Passage
from luthier_retrieval.layouts import NO_SOURCE, Layout, LayoutResult, task_instruction


class Plain(Layout):
    """Put `[1] …` before each passage. Passages and question are not separated: for trusted documents only."""

    def __call__(self, question: str, passages: Sequence[Passage], absent: str) -> LayoutResult:
        sources = [f"[{number}] {passage.indexed_text}" for number, passage in enumerate(passages, 1)] or [NO_SOURCE]
        return LayoutResult(task_instruction(absent), "\n\n".join([*sources, question]))
