"""One reading of a source, kept on the disk."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from luthier.contracts.examples import Example, Source
from luthier.data import content_hashes as identity
from luthier.data.spool import Spool, SpoolWriter, UnwritableError
from luthier.errors import DataError
from luthier.fetch import cache
from luthier.fetch.once import build_once

SPLITS = ("train", "validation", "test")
_FACTS = "reading.json"


@dataclass
class Reading:
    """The examples of each split, their sha256, and what the source said of them once it was read.

    They lie in the cache under the hash of all that the reading depends on, so that a run which goes on, another rank
    and the next run read nothing again; or in a folder that goes with these examples, where the source cannot tell what
    it depends on. Examples with values that JSON cannot hold (an image) stay in memory, which is warned of.
    """

    examples: Mapping[str, Sequence[Example]]
    """The examples of each split, read from the disk as they are indexed."""
    digests: Mapping[str, str]
    """The sha256 of the examples of each split."""
    counts: Mapping[str, int]
    """What happened to the rows: read, skipped, quarantined, …"""
    warnings: list[str]
    """What a user should see of the reading, a sentence each."""
    fingerprint: dict[str, Any]
    """What was read, for the manifest: names, sha256, rows."""

    @classmethod
    def of(cls, source: Source) -> Reading:
        """Read a source, unless this very reading is in the cache. DataError for a split of an unknown name."""
        try:
            name = identity.hash_of_reading(source)
            if name is not None:
                return cls._stored(
                    build_once(cache.cache_folder("examples") / name[:32], lambda folder: _write(folder, source))
                )
            place = tempfile.TemporaryDirectory(dir=cache.cache_folder("examples"), prefix=".tmp-reading-")
            _write(Path(place.name), source)
            return cls._stored(Path(place.name), place)
        except UnwritableError as error:
            return cls._in_memory(source, str(error))

    @classmethod
    def _stored(cls, folder: Path, place: object = None) -> Reading:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        examples = {split: Spool(folder, split, place) for split in facts["digests"]}
        return cls(examples, facts["digests"], facts["counts"], facts["warnings"], facts["fingerprint"])

    @classmethod
    def _in_memory(cls, source: Source, why: str) -> Reading:
        examples: dict[str, list[Example]] = {}
        for example in source:
            examples.setdefault(_split(example), []).append(example)
        digests = {split: identity.hash_of_examples(of_split) for split, of_split in examples.items()}
        said = f"All examples are kept in memory, as JSON cannot hold them: {why}"
        return cls(examples, digests, source.counts, [*source.warnings, said], source.fingerprint())


class Changed(Sequence[Example]):
    """Examples as a function changes them, each when it is asked for."""

    def __init__(self, examples: Sequence[Example], change: Callable[[Example], Example]) -> None:
        self.examples, self.change = examples, change

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self.change(example) for example in self.examples[index]]
        return self.change(self.examples[index])

    def __iter__(self) -> Iterator[Example]:
        return map(self.change, self.examples)


def _write(folder: Path, source: Source) -> None:
    writers: dict[str, SpoolWriter] = {}
    for example in source:
        split = _split(example)
        if split not in writers:
            writers[split] = SpoolWriter(folder, split)
        writers[split].add(example)
    facts = {
        "digests": {split: writer.close() for split, writer in writers.items()},
        "counts": dict(source.counts),
        "warnings": list(source.warnings),
        "fingerprint": source.fingerprint(),
    }
    (folder / _FACTS).write_text(json.dumps(facts, default=str), encoding="utf-8")


def _split(example: Example) -> str:
    split = example.get("split", "train")
    if split not in SPLITS:
        raise DataError(f"The source names the split {split!r}.", hint=f"There are {', '.join(SPLITS)}.")
    return str(split)
