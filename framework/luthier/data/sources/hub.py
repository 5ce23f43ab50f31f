"""Data sets of the Hugging Face hub, through the `datasets` library."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.data.content_hashes import content_hash
from luthier.data.readers.arrow import is_saved_dataset, record_of_row
from luthier.data.records import Record
from luthier.data.sources.files import file_state
from luthier.data.sources.records_source import RecordsSource
from luthier.data.splits import HELD_OUT_FIRST, NAMES
from luthier.errors import DataError, ResourceError
from luthier.errors.suggestions import nearest
from luthier.fetch import cache
from luthier.fetch.notes import read_note, write_note
from luthier.fetch.paths import local_path
from luthier.fetch.remembered import remembered_digest

log = logging.getLogger("luthier")


@dataclass(kw_only=True)
class Hub(RecordsSource):
    """A data set of the hub, or a local folder in the hub's layout or of `save_to_disk`.

    It is downloaded as a whole into luthier's cache. Fields of structs that are null are left out, as Arrow gives all
    structs of a column the same fields.

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
        if not self.revision and not local_path(self.name).exists():
            self.tally.warn(f"{self.name} is not pinned: name the commit in data.revision")
        several = len(parts) > 1
        for part in sorted(parts, key=lambda part: HELD_OUT_FIRST.index(NAMES.get(part))):
            features = parts[part].features.items()
            names = {key: kind.names for key, kind in features if isinstance(kind, datasets.ClassLabel) and kind.names}
            for number, row in enumerate(parts[part], start=1):
                record = record_of_row(row, f"{self.name}/{part}", number, names)
                record.split = part if several else None
                yield record

    def files_now(self) -> Any:
        return self._local_files() or [file["fingerprint"] for file in self.origin()["files"]]

    def origin(self) -> dict[str, Any]:
        parts = self._load()
        files = [{"name": f"{self.name}/{part}", "fingerprint": data._fingerprint} for part, data in parts.items()]
        return {"name": self.name, "subset": self.subset, "revision": self.revision, "files": files}

    def _local_files(self) -> list[list[Any]]:
        """The name, size and sha256 of each file of a local folder; an empty list for a data set of the hub."""
        folder = local_path(self.name)
        if not folder.exists():
            return []
        files = sorted(file for file in (folder.rglob("*") if folder.is_dir() else [folder]) if file.is_file())
        return [[str(file.absolute()), *file_state(file)] for file in files]

    def _load(self) -> dict[str, Any]:
        import datasets

        folder = local_path(self.name)
        try:
            if is_saved_dataset(folder):
                return self._saved(folder)
            loaded = self._cached()
        except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError, ConnectionError) as error:
            raise ResourceError(
                f"The data set {self.name} cannot be had: {str(error).splitlines()[0]}",
                hint="Is its name right, and is the hub reachable? A private set needs `hf auth login`.",
            ) from error
        except (datasets.exceptions.DatasetsError, ValueError, RuntimeError) as error:
            raise DataError(f"The data set {self.name} cannot be read: {error}", where=self.name) from error
        return dict(loaded) if self.split is None else {self.split: loaded}

    def _cached(self) -> Any:
        """What the `datasets` library keeps, had again, with a warning, where its files are not as it wrote them."""
        import datasets

        folder, cached = local_path(self.name), self._cache()
        name = str(folder) if folder.exists() else self.name
        note = cached / f".sealed-{content_hash([name, self.subset, self.split, self.revision])[:32]}.json"
        written, modes = read_note(note), datasets.DownloadMode
        if changed := [file for file, digest in written.items() if _digest(file) != digest]:
            log.warning("The cached data set %s is not as it was written, and is made again.", changed[0])
        loaded = datasets.load_dataset(
            name,
            self.subset,
            split=self.split,
            revision=self.revision,
            streaming=False,
            cache_dir=str(cached),
            download_mode=modes.FORCE_REDOWNLOAD if changed else modes.REUSE_DATASET_IF_EXISTS,
        )
        files = {each["filename"] for part in _parts(loaded) for each in part.cache_files}
        if (changed or files != set(written)) and not cache.cache_is_read_only():
            write_note(note, {file: _digest(file) for file in sorted(files)})
        return loaded

    def _cache(self) -> Path:
        """The cache of the `datasets` library; another one for each content of a local folder, of which it asks no more
        than the time of change."""
        files = self._local_files()
        return cache.cache_folder("hub") / content_hash(files)[:32] if files else cache.cache_folder("hub")

    def _saved(self, folder: Path) -> dict[str, Any]:
        """The splits in a folder of `save_to_disk`."""
        import datasets

        loaded = datasets.load_from_disk(str(folder))
        parts = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {str(loaded.split or "train"): loaded}
        if self.split is None:
            return parts
        if self.split not in parts:
            raise DataError(
                f"{self.name} has no split {self.split!r}.",
                where="data.split",
                hint=nearest(self.split, parts, "The splits are"),
            )
        return {self.split: parts[self.split]}


def _parts(loaded: Any) -> list[Any]:
    return list(loaded.values()) if isinstance(loaded, dict) else [loaded]


def _digest(file: str) -> str:
    """The sha256 of a file; empty where it is not there."""
    return remembered_digest(Path(file)) if Path(file).is_file() else ""
