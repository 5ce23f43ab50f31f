"""Data sets of the Hugging Face hub, through the `datasets` library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.readers.characters import bad_character
from luthier.data.records import Record
from luthier.data.sources.records_source import RecordsSource
from luthier.data.splits import HELD_OUT_FIRST, NAMES
from luthier.errors import DataError, ResourceError
from luthier.fetch import cache


@dataclass(kw_only=True)
class Hub(RecordsSource):
    """A data set of the hub, or a local folder in the hub's layout, downloaded as a whole into luthier's cache.

    Set `revision` to a commit: without one the data set may change between runs, which causes a warning. `subset` is
    its configuration. `split` selects one of its splits, whose examples `splits` then assigns; null takes all, with the
    splits that they have. Class labels become their names. Code in a data set is never run.
    """

    name: str
    revision: str | None = None
    subset: str | None = None
    split: str | None = None

    def records(self) -> Iterator[Record]:
        import datasets

        parts = self._load()
        if not self.revision and not Path(self.name).exists():
            self.tally.warn(f"{self.name} is not pinned: name the commit in data.revision")
        several = len(parts) > 1
        for part in sorted(parts, key=lambda part: HELD_OUT_FIRST.index(NAMES.get(part))):
            labels = {key: kind for key, kind in parts[part].features.items() if isinstance(kind, datasets.ClassLabel)}
            for number, row in enumerate(parts[part], start=1):
                for key, kind in labels.items():
                    if isinstance(row[key], int) and row[key] >= 0:
                        row[key] = kind.int2str(row[key])
                yield _record(row, f"{self.name}/{part}", number, part if several else None)

    def files_now(self) -> Any:
        return [file["fingerprint"] for file in self.origin()["files"]]

    def origin(self) -> dict[str, Any]:
        parts = self._load()
        files = [{"name": f"{self.name}/{part}", "fingerprint": data._fingerprint} for part, data in parts.items()]
        return {"name": self.name, "subset": self.subset, "revision": self.revision, "files": files}

    def _load(self) -> dict[str, Any]:
        import datasets

        try:
            loaded = datasets.load_dataset(
                self.name,
                self.subset,
                split=self.split,
                revision=self.revision,
                streaming=False,
                cache_dir=str(cache.cache_folder("hub")),
            )
        except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError, ConnectionError) as error:
            raise ResourceError(
                f"The data set {self.name} cannot be had: {str(error).splitlines()[0]}",
                hint="Is its name right, and is the hub reachable? A private set needs `hf auth login`.",
            ) from error
        except (datasets.exceptions.DatasetsError, ValueError, RuntimeError) as error:
            raise DataError(f"The data set {self.name} cannot be read: {error}", where=self.name) from error
        return dict(loaded) if self.split is None else {self.split: loaded}


def _record(row: dict[str, Any], name: str, number: int, split: str | None) -> Record:
    if bad := bad_character(row):
        fault = DataError(f"The text has a bad character: {bad}.", where=f"{name}:{number}")
        return Record(name, number, fault=fault, split=split)
    return Record(name, number, row, split=split)
