"""One reading of a source, stored in the cache."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.contracts.examples import Example, Source
from luthier.data.content_hashes import hash_of_examples, hash_of_reading
from luthier.data.stored_examples import ExamplesWriter, StoredExamples, UnwritableError
from luthier.data.well_formed import well_formed
from luthier.errors import DataError
from luthier.fetch import cache
from luthier.fetch.once import build_once
from luthier.plugins.returned import held, returned

SPLITS = ("train", "validation", "test")
_FACTS = "reading.json"


@dataclass
class Reading:
    """The examples of each split, their sha256, and the source's counts, warnings and fingerprint after reading.

    They are cached under the hash of everything that the reading depends on (`hash_of_reading`), so that a resumed run,
    another rank and the next run do not read again; where that hash is unknown, they are in a temporary folder that is
    removed with the examples. Examples with values that JSON cannot restore (an image) stay in memory, with a warning.
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
        """Read a source, or take the reading from the cache. DataError for a split of an unknown name."""
        try:
            name = hash_of_reading(source)
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
        examples = {split: StoredExamples(folder, split, place) for split in facts["digests"]}
        return cls(examples, facts["digests"], facts["counts"], facts["warnings"], facts["fingerprint"])

    @classmethod
    def _in_memory(cls, source: Source, why: str) -> Reading:
        examples: dict[str, list[Example]] = {}
        for example in _examples(source):
            examples.setdefault(_split(example), []).append(example)
        digests = {split: hash_of_examples(of_split) for split, of_split in examples.items()}
        warning = f"All examples are kept in memory, as JSON cannot hold them: {why}"
        return cls(examples, digests, *_facts_of(source, warning))


def _write(folder: Path, source: Source) -> None:
    writers: dict[str, ExamplesWriter] = {}
    for example in _examples(source):
        split = _split(example)
        if split not in writers:
            writers[split] = ExamplesWriter(folder, split)
        writers[split].add(example)
    facts = {
        "digests": {split: writer.close() for split, writer in writers.items()},
        **dict(zip(("counts", "warnings", "fingerprint"), _facts_of(source), strict=True)),
    }
    (folder / _FACTS).write_text(json.dumps(facts, default=str), encoding="utf-8")


def _facts_of(source: Source, *more: str) -> tuple[dict[str, int], list[str], dict[str, Any]]:
    """The counts, the warnings with `more`, and the fingerprint of a source that was read; PluginError for others."""
    fingerprint = returned(source.fingerprint(), dict, source.fingerprint)
    return dict(held(source, "counts", Mapping)), [*held(source, "warnings", (list, tuple)), *more], fingerprint


def _examples(source: Source) -> Iterator[Example]:
    for example in source:
        yield well_formed(returned(example, dict, source.__iter__), source.__iter__)


def _split(example: Example) -> str:
    split = example.get("split", "train")
    if split not in SPLITS:
        raise DataError(f"The source names the split {split!r}.", hint=f"There are {', '.join(SPLITS)}.")
    return str(split)
