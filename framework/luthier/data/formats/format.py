"""What a format is: it turns raw rows into examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


class Format(Protocol):
    """Turn raw rows into examples."""

    name: str
    """As an option file of `data/format` calls it."""
    expects: str
    """What a row must hold, in words: "`prompt` and `completion`"."""

    def settle(self, rows: Sequence[dict[str, Any]]) -> Format:
        """The format to read with, after a look at the first rows: itself, unless it has to be found out."""

    def recognises(self, row: dict[str, Any]) -> str:
        """Why the row is of this format, an empty string where it is not."""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        """The example without `where` and `split`; None where the row is rightly left out.

        Whatever is changed or left out is counted by name in `counts`. DataError, without a place, for a row that
        does not fit.
        """
