"""Renaming of columns, and detection of columns whose type of value changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from luthier.data.records import Tally
from luthier.errors import DataError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from luthier.data.formats.format import Format

PLACE = ("where", "split")
"""Fields of an example that are no columns of the data."""
KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


class Columns:
    """The type of value that each column had first, and the place of that row; null is of no type."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[str, str]] = {}

    def drifted(self, row: dict[str, Any], where: str) -> dict[str, str]:
        """The columns of a row whose type of value differs from the earlier one, each with a sentence."""
        drifted = {}
        for column, value in row.items():
            if value is None:
                continue
            kind = KINDS.get(type(value), type(value).__name__)
            before, place = self.kinds.setdefault(column, (kind, where))
            if kind != before:
                drifted[column] = f"The column {column!r} holds {kind} here, but {before} from {place} on"
        return drifted

    def check(self, row: dict[str, Any], further: dict[str, Any], where: str, tally: Tally) -> None:
        """DataError for a drifted column that the format uses; others are counted as `type_drift`, with a warning."""
        for column, sentence in self.drifted(row, where).items():
            if further.get(column) is not row[column] or column == "label":
                raise DataError(f"{sentence}.", where=where)
            tally.counts["type_drift"] += 1
            tally.warn(f"The column {column!r} changes its kind of value", where)


def renamed(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The row with its columns renamed by `names`, {name in the data: name that the format expects}."""
    return {names.get(column, column): value for column, value in row.items()}


def check_renaming(rows: list[dict[str, Any]], names: dict[str, str]) -> None:
    """DataError if a column to rename is in none of the rows, or if a new name is that of another column."""
    columns = {column for row in rows for column in row}
    for yours, expected in names.items():
        if yours not in columns:
            raise no_column(yours, columns, setting="data.rename", who="no row has")
        if expected in columns and expected not in names:
            raise DataError(f"data.rename calls {yours!r} {expected!r}, but there is already a column of that name.")


def check_columns(rows: list[dict[str, Any]], row_format: Format) -> None:
    """DataError if a setting of the format names a column, other than by its default, that is in none of the rows."""
    columns = dict.fromkeys(column for row in rows for column in row)
    for setting in getattr(row_format, "columns", ()):  # of a class that inherits nothing
        named = getattr(row_format, setting)
        if named not in columns and named != getattr(type(row_format), setting, None):
            raise no_column(named, columns, setting=f"data.format.{setting}", who="no row has")


def no_column(
    name: str, columns: Iterable[Any], *, setting: str, who: str = "the example does not have", where: str = ""
) -> DataError:
    """The error of a setting that names a column which is not there, with the nearest of those that are, or all."""
    there = [str(column) for column in columns if column not in PLACE]
    hint = nearest(name, there, "The columns are")
    return DataError(f"{setting} names the column {name!r}, which {who}.", where=where, hint=hint)


def column_of(example: Mapping[str, Any], name: str, *, setting: str) -> Any:
    """The value in the column that a setting names; DataError where the example does not have it."""
    if name not in example:
        raise no_column(name, example, setting=setting, where=str(example.get("where", "")))
    return example[name]
