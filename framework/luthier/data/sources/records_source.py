"""The way from raw rows to examples, which all sources go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.data.columns import Columns
from luthier.data.dedup import unique
from luthier.data.formats import reserved
from luthier.data.formats.auto import Auto
from luthier.data.formats.detect import LOOK_AT, Detected, detect, unfit
from luthier.data.formats.naming import named
from luthier.data.quarantine import Quarantine
from luthier.data.records import Record, Tally
from luthier.data.renaming import check_renaming, renamed
from luthier.data.sampling import sampled
from luthier.data.splits import HashSplits, Splits, split_named
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example
    from luthier.data.formats.format import Format


@dataclass(kw_only=True, eq=False, repr=False)
class RecordsSource(ABC):
    """Read rows one at a time: rename, bring into form, drop duplicates, split, shuffle, limit.

    The settings of all sources are the fields of this class; a source is a keyword-only dataclass with its own fields
    beside them, and may give `format` another default. `rename` maps the columns of the data to the expected ones.
    `shuffle` is a seed: `limit` then takes random examples instead of the first.

    Only what duplicates and shuffling need is held in memory. `counts`, `warnings` and `detected` speak of the latest
    reading. A row that cannot be used ends the reading (`on_bad_row` error), or is passed over (skip), or is kept in
    `quarantine.jsonl` in the folder `quarantine`; more than `bad_budget` of them end it in any case.
    """

    format: Format | str = field(default_factory=Auto)
    splits: Splits = field(default_factory=HashSplits)
    rename: dict[str, str] | None = None
    on_bad_row: Literal["error", "skip", "quarantine"] = "error"
    bad_budget: int = 100
    quarantine: str | None = None
    shuffle: int | None = None
    limit: int | None = None

    tally = Tally()
    detected = Detected("", "Nothing has been read yet.", 0.0)

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """All rows in a fixed order."""

    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """Where the rows come from, with hashes: names, sha256, bytes; for the manifest."""

    def __iter__(self) -> Iterator[Example]:
        tally = self.tally = Tally()
        examples = self.splits(unique(self._examples(tally), tally), tally)
        for example in sampled(examples, shuffle=self.shuffle, limit=self.limit):
            tally.counts["examples"] += 1
            yield example
        if not tally.counts["examples"]:
            raise self._nothing(tally)

    @property
    def counts(self) -> Mapping[str, int]:
        """`read` rows, `examples` given, `train`, `validation`, `test`, `skipped`, `quarantined`, `duplicates`, …

        What formats make regular or leave out is counted under the names that they document.
        """
        return {name: count for name, count in sorted(self.tally.counts.items()) if count}

    @property
    def warnings(self) -> list[str]:
        """Sentences about the latest reading that somebody should see, with the first places."""
        return self.tally.warnings

    def fingerprint(self) -> dict[str, Any]:
        """What was read, for the manifest: the origin with sha256 and rows, the format, the counts."""
        origin = self.origin()
        for file in origin.get("files", []):
            file["rows"] = self.tally.rows.get(file["name"])
        return {**origin, "format": self.detected.name, "counts": dict(self.counts)}

    def state(self) -> Any:
        """What the rows depend on beside the settings, so that a reading can be kept; None where it must not be.

        Nothing is read to tell it. A reading that writes a quarantine is done anew each time.
        """
        return None if self.on_bad_row == "quarantine" else self.files_now()

    def files_now(self) -> Any:
        """The names, sizes and times of all that would be read, as JSON; None, as here, where they cannot be told."""
        return None

    def quarantine_into(self, folder: Path) -> None:
        """Let rows that are set aside go to `folder`, unless the recipe names another."""
        if self.on_bad_row == "quarantine":
            self.quarantine = self.quarantine or str(folder)

    def _examples(self, tally: Tally) -> Iterator[Example]:
        quarantine, columns = Quarantine(self.quarantine), Columns()
        records = self._counted(tally)
        first = list(islice(records, LOOK_AT))
        read = self._settled([record for record in first if record.row is not None])
        for record in chain(first, records):
            try:
                example = self._example(record, read, columns, tally)
            except DataError as fault:
                fault.where = fault.where or record.where
                self._set_aside(record, fault, quarantine, tally)
                continue
            if example is not None:
                yield example

    def _counted(self, tally: Tally) -> Iterator[Record]:
        for record in self.records():
            tally.rows[record.file] += 1
            tally.counts["read"] += 1
            yield record

    def _settled(self, first: list[Record]) -> Format:
        """The format to read with, found out from the first rows where the recipe does not name it."""
        asked = named(self.format) if isinstance(self.format, str) else self.format
        if not first:
            return asked
        rows = [record.row or {} for record in first]
        try:
            check_renaming(rows, self.rename or {})
            rows = [renamed(row, self.rename or {}) for row in rows]
            read = asked.settle(rows)
        except DataError as fault:
            fault.where = fault.where or first[0].where
            raise
        found = detect(rows)
        self.detected = found if read.name != asked.name else Detected(read.name, "The recipe names it.", 1.0)
        return read

    def _example(self, record: Record, read: Format, columns: Columns, tally: Tally) -> Example | None:
        if record.row is None:
            raise record.fault or DataError("The row cannot be read.")
        row, own = renamed(record.row, self.rename or {}), Counter[str]()
        try:
            example = read(row, own)
        except DataError as fault:
            raise unfit(row, read, fault) from None
        columns.check(row, example or {}, record.where, tally)
        tally.counts.update(own)
        if own[reserved.COUNT]:
            tally.warn(reserved.WARNING, record.where)
        if example is None:
            return None
        split = record.split or example.pop("split", None)
        if split is not None:
            example["split"] = split_named(split, record.where)
        return {**example, "where": record.where}

    def _set_aside(self, record: Record, fault: DataError, quarantine: Quarantine, tally: Tally) -> None:
        if self.on_bad_row == "error":
            raise fault
        done = {"skip": "skipped", "quarantine": "quarantined"}[self.on_bad_row]
        tally.counts[done] += 1
        tally.warn(f"Rows were {done} that cannot be used", f"{fault.where}: {fault.message}")
        if self.on_bad_row == "quarantine":
            quarantine.add(record, fault)
        if tally.counts[done] > self.bad_budget:
            raise DataError(
                f"More than {self.bad_budget} rows cannot be used; the last: {fault.message}",
                where=fault.where,
                hint="Mend the file, or raise data.bad_budget.",
            )

    def _nothing(self, tally: Tally) -> DataError:
        if not tally.counts["read"]:
            name = ", ".join(file["name"] for file in self.origin().get("files", [])[:3]) or "The source"
            return DataError(f"{name} holds no row: nothing but blanks, or a header alone.", where=name)
        counted = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return DataError(f"No example is left of {', '.join(list(tally.rows)[:3])}: {counted}.")
