"""The format that is detected from the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.detect import detect, no_format
from luthier.data.formats.format import Format
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Auto(Format):
    """Detect the format from the first 64 rows, with the reason in the report; every row must then have it."""

    name = "auto"
    expects = "rows of any known format"

    def settle(self, rows: Sequence[dict[str, Any]]) -> Format:
        found = detect(rows)
        if found.format is None:
            raise no_format(rows)
        return found.format

    def recognises(self, row: dict[str, Any]) -> str:
        found = detect([row])
        return found.reason if found.name else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        found = detect([row])
        if found.format is None:
            raise DataError(found.reason)
        return found.format(row, counts)
