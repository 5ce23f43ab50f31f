"""The contract of formats: convert raw rows to examples."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


class Format(Protocol):
    """Convert raw rows to examples. Inherit it: `settle` has a body here.

    A format that is to be suggested for misnamed columns also has `keys`, sets of columns of which one must be
    complete, and `synonyms`, other names of those columns (`Detectable`).

    - *Given*: a row as a dictionary, as the reader gives it after `data.rename`, and a counter for the report.
    - *Returns*: a new example with `messages`, `text` or `chosen` and `rejected`, without `where` and `split`; None
      for a row that is left out.
    - *Called*: `recognises` and `settle` for the first 64 rows, then `__call__` for each. A format of a plugin that
      can be made without being told anything is detected by `data/format=auto` like luthier's own, which come first
      where both recognise a row.
    - *Ranks*: on every rank, unless the reading is cached.
    - *Raises*: DataError without a place for a row that is not of this format. `recognises` raises nothing: a
      format of a plugin that does is not detected, and the log says so.
    - *Resume*: nothing: the examples are read again.
    - *Nested*: a keyword-only parameter filled by an answer of `data/format/NAME/`; such a format is chosen by
      name, and not detected.
    """

    name: str
    """The name of its option file in `data/format`."""
    columns: tuple[str, ...] = ()
    """The settings that name a column: a name that no row has is an error."""
    expects: str
    """The fields that a row must have, for error messages: "`prompt` and `completion`"."""

    def settle(self, rows: Sequence[dict[str, Any]]) -> Format:
        """The format to read all rows with, given the first ones: itself, unless it is detected from them."""
        return self

    @abstractmethod
    def recognises(self, row: dict[str, Any]) -> str:
        """The reason why the row has this format; an empty string where it does not."""

    @abstractmethod
    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        """The example without `where` and `split`; None where the format leaves the row out by its settings.

        Each change and omission is counted by name in `counts`. DataError, without a place, for a row that does not
        have this format.
        """
