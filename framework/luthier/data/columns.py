"""Notice when a column starts to hold another kind of value than it did."""

from __future__ import annotations

from typing import Any

from luthier.data.records import Tally
from luthier.errors import DataError

KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


class Columns:
    """The kind of value that each column had first, and where; null says nothing."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[str, str]] = {}

    def drifted(self, row: dict[str, Any], where: str) -> dict[str, str]:
        """The columns of a row that hold another kind than before, each with a sentence."""
        found = {}
        for column, value in row.items():
            if value is None:
                continue
            kind = KINDS.get(type(value), type(value).__name__)
            before, place = self.kinds.setdefault(column, (kind, where))
            if kind != before:
                found[column] = f"The column {column!r} holds {kind} here, but {before} from {place} on"
        return found

    def check(self, row: dict[str, Any], further: dict[str, Any], where: str, tally: Tally) -> None:
        """Refuse a row whose format uses a drifted column; count as `type_drift` and warn where it is a further one."""
        for column, sentence in self.drifted(row, where).items():
            if further.get(column) is not row[column] or column == "label":
                raise DataError(f"{sentence}.", where=where)
            tally.counts["type_drift"] += 1
            tally.warn(f"The column {column!r} changes its kind of value", where)
