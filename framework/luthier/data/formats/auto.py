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
        detected = detect(rows)
        if detected.format is None:
            raise no_format(rows)
        return detected.format

    def recognises(self, row: dict[str, Any]) -> str:
        detected = detect([row])
        return detected.reason if detected.name else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        detected = detect([row])
        if detected.format is None:
            raise DataError(detected.reason)
        return detected.format(row, counts)
