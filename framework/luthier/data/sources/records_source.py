"""The base of sources: from raw rows to examples, and the settings that all sources have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from luthier.data.columns import Columns, check_columns, check_renaming, renamed
from luthier.data.dedup import unique
from luthier.data.formats import reserved
from luthier.data.formats.auto import Auto
from luthier.data.formats.conversation import KEY_DROPPED
from luthier.data.formats.detect import LOOK_AT, Detected, detect, unfit
from luthier.data.formats.format import Format
from luthier.data.formats.naming import named
from luthier.data.loss_columns import learned_as_given
from luthier.data.quarantine import Quarantine
from luthier.data.reasoning import Reasoning, with_reasoning
from luthier.data.records import Record, Tally, checked
from luthier.data.sampling import sampled
from luthier.data.splits import HashSplits, Splits, split_named
from luthier.data.turn_choice import TurnChoice, with_turns
from luthier.data.unread_columns import warn_of_unread
from luthier.data.well_formed import well_formed
from luthier.errors import DataError
from luthier.plugins.returned import returned

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(kw_only=True)
class RecordsSource(ABC):
    """Read rows one at a time: rename columns, convert to examples, drop duplicates, split, shuffle, limit.

    Inherit it as a keyword-only dataclass: add the settings that say where the rows are, and define `records` and
    `origin`. Only what deduplication and shuffling need is held in memory. `counts`, `warnings` and `detected` describe
    the latest reading.

    format: a format, or its name; rename: {column in the data: column that the format expects}. on_bad_row: a row that
    cannot be used ends the reading (error), is left out (skip), or is left out and written to `quarantine.jsonl` in the
    folder `quarantine` (null: that of the run); more than `bad_budget` of them end the reading in any case. shuffle: a
    seed, with which `limit` takes random examples instead of the first; limit: the most examples, null for all. turns:
    what of a conversation is an example, the whole of it or each trained turn with what comes before; `auto` is whole
    where the chat template renders it in one text, else each. reasoning: an answer's reasoning stays in its own field,
    or becomes a `<think>` block of the content (inline), or is left out (drop).
    """

    format: Format | str = field(default_factory=Auto)
    """The format of the rows, or the name of one; `auto` finds it from the first rows."""
    splits: Splits = field(default_factory=HashSplits)
    """Which split each example belongs to."""
    rename: dict[str, str] | None = None
    """Column in the data -> the name that the format expects, applied before the format reads the rows."""
    on_bad_row: Literal["error", "skip", "quarantine"] = "error"
    bad_budget: int = 100
    quarantine: str | None = None
    shuffle: int | None = None
    """The seed of a shuffle of all examples; None keeps the order of the source."""
    limit: int | None = None
    """The most examples to give; None is all."""
    turns: TurnChoice = "auto"
    """What of a conversation is an example: whole, each trained turn, or the last one alone is trained."""
    reasoning: Reasoning = "field"
    """What becomes of the reasoning of answers: it stays in its field, goes into the content, or is left out."""

    tally = Tally()
    """Counts and warnings of the latest reading."""
    detected = Detected("", "Nothing has been read yet.", 0.0)
    """The format of the latest reading, and why it was chosen."""

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """All rows, in the same order each time."""

    @abstractmethod
    def origin(self) -> dict[str, Any]:
        """The origin of the rows for the manifest: `files`, each with name, sha256 and bytes, and any `licence`."""

    def __iter__(self) -> Iterator[Example]:
        """Read all rows and give their examples; DataError where none is left."""
        tally = self.tally = Tally()
        examples = self.splits(unique(self._examples(tally), tally), tally)
        for example in sampled(examples, shuffle=self.shuffle, limit=self.limit):
            tally.counts["examples"] += 1
            yield example
        if not tally.counts["examples"]:
            raise self._no_example(tally)

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts: rows `read`, `examples`, `train`, `validation`, `test`, `skipped`, `quarantined`, `duplicates`, …

        What formats normalise or leave out is counted under the names in their docstrings.
        """
        return self.tally.counts_with()

    @property
    def warnings(self) -> list[str]:
        """Warnings about the latest reading as sentences, with the first places of each."""
        return self.tally.warnings

    def fingerprint(self) -> dict[str, Any]:
        """What was read, for the manifest: the origin with the rows of each file, the format, the counts."""
        origin = self._origin()
        for file in origin.get("files", []):
            file["rows"] = self.tally.rows.get(file["name"])
        return {**origin, "format": self.detected.name, "counts": dict(self.counts)}

    def _origin(self) -> dict[str, Any]:
        return returned(self.origin(), dict, self.origin)

    def state(self) -> Any:
        """What the rows depend on besides the settings, as JSON; None where the reading must not be cached.

        It is computed without reading the rows. A reading that may write a quarantine is not cached.
        """
        return None if self.on_bad_row == "quarantine" else self.files_now()

    def files_now(self) -> Any:
        """The names, sizes and sha256 of the files, as JSON; None, the default, where they are unknown."""
        return None

    def quarantine_into(self, folder: Path) -> None:
        """Write quarantined rows to `folder`, unless the recipe names another."""
        if self.on_bad_row == "quarantine":
            self.quarantine = self.quarantine or str(folder)

    def _examples(self, tally: Tally) -> Iterator[Example]:
        quarantine, columns = Quarantine(self.quarantine), Columns()
        records = self._counted(tally)
        first = list(islice(records, LOOK_AT))
        row_format = self._detected_format([record for record in first if record.row is not None])
        for record in chain(first, records):
            try:
                example = self._example(record, row_format, columns, tally)
            except DataError as fault:
                fault.where = fault.where or record.where
                self._set_aside(record, fault, quarantine, tally)
                continue
            if record.note:
                tally.warn(record.note, record.where)
            if example is not None:
                yield example

    def _counted(self, tally: Tally) -> Iterator[Record]:
        for record in returned(self.records(), Iterable, self.records):
            checked(record, self.records)
            tally.rows[record.file] += 1
            tally.counts["read"] += 1
            yield record

    def _detected_format(self, first: list[Record]) -> Format:
        """The format to read all rows with, detected from the first rows where the recipe does not name one."""
        configured = named(self.format) if isinstance(self.format, str) else self.format
        if not first:
            return configured
        rows = [record.row or {} for record in first]
        try:
            check_renaming(rows, self.rename or {})
            rows = [renamed(row, self.rename or {}) for row in rows]
            check_columns(rows, configured)
            settled = configured.settle(rows)
        except DataError as fault:
            fault.where = fault.where or first[0].where
            raise
        by_name = Detected(settled.name, "The recipe names it.", 1.0)
        self.detected = detect(rows) if settled.name != configured.name else by_name
        return settled

    def _example(self, record: Record, row_format: Format, columns: Columns, tally: Tally) -> Example | None:
        if record.row is None:
            raise record.fault or DataError("The row cannot be read.")
        row, own = renamed(record.row, self.rename or {}), Counter[str]()
        try:
            example = returned(row_format(row, own), (dict, type(None)), row_format)
            if example is not None:
                well_formed(example, row_format)
        except DataError as fault:
            raise unfit(row, row_format, fault) from None
        columns.check(row, example or {}, record.where, tally)
        if example is not None:
            example = learned_as_given({**example, "where": record.where}, tally, own)
        if example is not None:
            warn_of_unread(example, tally)
            example = with_reasoning(example, self.reasoning, own)
        tally.counts.update(own)
        _warn_of(own, record.where, tally)
        if example is None:
            return None
        split = record.split or example.pop("split", None)
        if split not in (None, ""):
            example["split"] = split_named(split, record.where)
        return with_turns(example, self.turns)

    def _set_aside(self, record: Record, fault: DataError, quarantine: Quarantine, tally: Tally) -> None:
        if self.on_bad_row == "error":
            raise fault
        outcome = {"skip": "skipped", "quarantine": "quarantined"}[self.on_bad_row]
        tally.counts[outcome] += 1
        tally.warn(f"Rows were {outcome} that cannot be used", f"{fault.where}: {fault.message}")
        if self.on_bad_row == "quarantine":
            quarantine.add(record, fault)
        if tally.counts[outcome] > self.bad_budget:
            raise DataError(
                f"More than {self.bad_budget} rows cannot be used; the last: {fault.message}",
                where=fault.where,
                hint="Correct the file, or raise data.bad_budget.",
            )

    def _no_example(self, tally: Tally) -> DataError:
        if not tally.counts["read"]:
            name = ", ".join(file["name"] for file in self._origin().get("files", [])[:3]) or "The source"
            return DataError(f"{name} has no row: it is blank, or has only a header.", where=name)
        counted = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        return DataError(f"No example is left of {', '.join(list(tally.rows)[:3])}: {counted}.")


def _warn_of(counts: Mapping[str, int], where: str, tally: Tally) -> None:
    """Warn by name of what a format counted that a user should see before training."""
    if counts.get(reserved.COUNT):
        tally.warn(reserved.WARNING, where)
    for name in counts:
        if name.startswith(KEY_DROPPED):
            key = name.removeprefix(KEY_DROPPED)
            tally.warn(f"The key {key!r} of messages is not read, so nothing is learned of it", where)
