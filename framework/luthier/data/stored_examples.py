"""Examples on disk: a data set larger than memory is read one example at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from luthier.contracts.examples import Example
from luthier.data.content_hashes import ExamplesHash
from luthier.data.lazy_examples import LazyExamples

_PLACES = 4096  # file offsets held before they are written
_TAG = "\ue000luthier"
_DATES: dict[str, Callable[[str], date]] = {"datetime": datetime.fromisoformat, "date": date.fromisoformat}


class UnwritableError(ValueError):
    """An example holds a value that JSON does not restore unchanged."""


class StoredExamples(LazyExamples):
    """The examples of one split, each read from its file when it is indexed.

    `lasting` is held as long as these examples are: a temporary folder is removed with its last holder.
    """

    def __init__(self, folder: Path, split: str, lasting: object = None) -> None:
        self.folder, self.split = folder, split
        self._lasting = lasting
        places = folder / f"{split}.places"
        self._places = np.memmap(places, dtype="<i8", mode="r") if places.stat().st_size else np.zeros(1, "<i8")
        self._lines, self._reading = (folder / f"{split}.jsonl").open("rb"), Lock()

    def __len__(self) -> int:
        return len(self._places) - 1

    def example(self, number: int) -> Example:
        begin, end = self._places[number : number + 2].tolist()
        with self._reading:
            self._lines.seek(begin)
            line = self._lines.read(end - begin)
        return _read(line)

    def __iter__(self) -> Iterator[Example]:
        with (self.folder / f"{self.split}.jsonl").open("rb") as lines:
            for line in lines:
                yield _read(line)

    def __reduce__(self) -> tuple[type[StoredExamples], tuple[Path, str]]:
        return StoredExamples, (self.folder, self.split)


class ExamplesWriter:
    """Writes the examples of one split; UnwritableError for one that JSON does not restore unchanged."""

    def __init__(self, folder: Path, split: str) -> None:
        self._lines = (folder / f"{split}.jsonl").open("wb")
        self._offsets = (folder / f"{split}.places").open("wb")
        self._place, self._pending = 0, [0]
        self._digest = ExamplesHash()

    def add(self, example: Example) -> None:
        line = _written(example)
        self._digest.add(example)
        self._lines.write(line)
        self._place += len(line)
        self._pending.append(self._place)
        if len(self._pending) > _PLACES:
            self._flush()

    def close(self) -> str:
        """Close the files; the sha256 of all examples written, as by `hash_of_examples`."""
        self._flush()
        self._lines.close()
        self._offsets.close()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        self._offsets.write(np.array(self._pending, dtype="<i8").tobytes())
        self._pending.clear()


def _written(example: Example) -> bytes:
    try:
        line = json.dumps(example, default=_tagged).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise UnwritableError(str(error)) from error
    if _read(line) != example:
        changed = next((key for key, value in _read(line).items() if example.get(key) != value), "a key")
        raise UnwritableError(f"{changed!r} is not restored unchanged")
    return line


def _read(line: bytes) -> Example:
    example: Example = json.loads(line, object_hook=_untagged)
    return example


def _tagged(value: Any) -> Any:
    for kind in (datetime, date):  # a datetime is a date, too
        if isinstance(value, kind):
            return {_TAG: kind.__name__, "value": value.isoformat()}
    raise TypeError(f"a value of the type {type(value).__name__}")


def _untagged(value: dict[str, Any]) -> Any:
    return _DATES[value[_TAG]](value["value"]) if _TAG in value else value
