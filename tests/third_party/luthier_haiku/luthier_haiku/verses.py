"""The stranger's format: a theme, and three lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luthier.api import DataError


@dataclass(frozen=True)
class Verses:
    """`theme` and `lines`, a list of three; the model is asked for a haiku on the theme."""

    name = "verses"
    expects = "`theme` and `lines`"
    keys = (("theme", "lines"),)
    synonyms = {}  # noqa: RUF012

    def settle(self, rows: Sequence[dict[str, Any]]) -> Verses:
        return self

    def recognises(self, row: dict[str, Any]) -> str:
        return "`theme` and `lines`" if {"theme", "lines"} <= row.keys() else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> dict[str, Any]:
        if len(row["lines"]) != 3:
            raise DataError(f"A haiku has three lines, this one has {len(row['lines'])}.")
        turns = [("user", f"A haiku on {row['theme']}, please."), ("assistant", "\n".join(row["lines"]))]
        return {"messages": [{"role": role, "content": content} for role, content in turns]}
