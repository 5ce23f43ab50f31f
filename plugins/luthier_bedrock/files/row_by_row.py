"""What all kinds share whose lines each say one row: what luthier's row cannot say goes along with it.

A line that is not the same when it is written again from its row is kept in the row's column `bedrock_row`. It is
written again as it was, as long as the row still says what the line says; a row that was changed is written anew.
Every line that is written anew is read again and compared, so that what a kind cannot say is told and not lost unseen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from luthier.api import DataError
from luthier_bedrock.files.conversation import Row

CARRIED = "bedrock_row"
"""The column with a line as it was."""
MOST_PATHS = 20


@dataclass(frozen=True)
class Located:
    """A row, and file:line of it."""

    row: Row
    where: str


@dataclass(frozen=True)
class Written:
    """A line, where its row came from, and the paths of what the kind cannot say of it."""

    line: Row
    where: str
    lost: list[str] = field(default_factory=list)


class RowByRow(ABC):
    """A kind whose lines each say one row; it has `recognises`, `read`, `write` and, where they differ, `expected`."""

    name = ""
    purpose = ""

    @abstractmethod
    def recognises(self, row: Mapping[str, Any]) -> bool:
        """Whether a line is of this kind."""

    @abstractmethod
    def read(self, row: Mapping[str, Any]) -> Row:
        """Luthier's row of a line; DataError for a malformed one."""

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> Row:
        """The line that says a row; DataError where the kind cannot."""

    def expected(self, row: Mapping[str, Any]) -> Row:
        """What `read` gives for what `write` made of a row, if nothing was lost."""
        return dict(row)

    def rows_of(self, line: Row) -> list[Row]:
        """The row of a line, with the line itself where the row does not say all of it."""
        row = self.read(line)
        return [row if self._writes(row) == line else {**row, CARRIED: line}]

    def lines_of(self, rows: Iterable[Located]) -> Iterator[Written]:
        """A line for each row; DataError, with file and line, for a row that the kind cannot say."""
        for located in rows:
            try:
                yield self._line(located)
            except DataError as fault:
                fault.where = fault.where or located.where
                raise

    def _line(self, located: Located) -> Written:
        row = {name: value for name, value in located.row.items() if name != CARRIED}
        carried = located.row.get(CARRIED)
        if isinstance(carried, dict) and self.recognises(carried) and self._reads(carried) == row:
            return Written(carried, located.where)
        line = self.write(row)
        return Written(line, located.where, differences(self.expected(row), self.read(line)))

    def _writes(self, row: Row) -> Row | None:
        try:
            return self.write(row)
        except DataError:
            return None

    def _reads(self, line: Row) -> Row | None:
        try:
            return self.read(line)
        except DataError:
            return None


def differences(before: Any, after: Any, at: str = "") -> list[str]:
    """The paths at which two values of JSON differ, places in lists left out: `messages[].weight`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [*before, *(name for name in after if name not in before)]
        inner = (differences(before.get(name), after.get(name), f"{at}.{name}".lstrip(".")) for name in names)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        inner = (differences(one, other, f"{at}[]") for one, other in zip(before, after, strict=True))
    else:
        return [] if before == after and isinstance(before, bool) == isinstance(after, bool) else [at]
    return list(dict.fromkeys(path for paths in inner for path in paths))[:MOST_PATHS]
