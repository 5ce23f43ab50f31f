"""Give columns the names that a format expects."""

from __future__ import annotations

from typing import Any

from luthier.errors import DataError
from luthier.errors.suggestions import nearest


def renamed(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The row with column `yours` under the name `expected`, for each pair; a missing column stays missing."""
    return {names.get(column, column): value for column, value in row.items()}


def check_renaming(rows: list[dict[str, Any]], names: dict[str, str]) -> None:
    """DataError if a column to rename is in none of the rows, or if a new name is taken already."""
    columns = {column for row in rows for column in row}
    for yours, expected in names.items():
        if yours not in columns:
            raise DataError(
                f"data.rename names the column {yours!r}, which no row has.",
                hint=nearest(yours, map(str, columns), "The columns are"),
            )
        if expected in columns and expected not in names:
            raise DataError(f"data.rename calls {yours!r} {expected!r}, but there is such a column already.")
