"""The index of a collection on disk: it grows incrementally and is consistent at every moment.

A folder holds segments, which are immutable, and a manifest that names the current ones. A segment is written to a
temporary folder, flushed and renamed; then the manifest is replaced atomically. A process that is killed leaves the
manifest, and so the index, unchanged; complete segments that no manifest names yet are reused by the next build.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock

from luthier.api import (
    DataError,
    PassageNumbers,
    ResourceError,
    ReusedRows,
    Search,
    build_once,
    cache_is_read_only,
    content_hash,
    is_intact,
)
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents import Document
from luthier_retrieval.segment import IndexedDocument, Segment, write_segment

log = logging.getLogger("luthier")
MANIFEST = "manifest.json"


@dataclass
class IndexUpdate:
    """The size of the index after an update, the numbers of new and removed documents, and the names of empty ones."""

    documents: int = 0
    passages: int = 0
    new: int = 0
    gone: int = 0
    empty: list[str] = field(default_factory=list)


@dataclass
class _Batch:
    """New documents that become one segment."""

    documents: list[IndexedDocument] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.passages)


@dataclass(frozen=True)
class _Remainder:
    """A segment that is to be merged, and for each of its documents whether it remains in the index."""

    segment: Segment
    remains: list[bool]

    @property
    def rows(self) -> PassageNumbers:
        """The rows of the passages that remain."""
        return np.flatnonzero(np.repeat(self.remains, [document.passages for document in self.segment.documents]))

    @property
    def documents(self) -> list[IndexedDocument]:
        return [document for document, remains in zip(self.segment.documents, self.remains, strict=True) if remains]

    def __len__(self) -> int:
        return sum(document.passages for document in self.documents)


class IndexStore:
    """The segments below a folder. At most `most` new passages are held and written at a time."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most

    def segments(self) -> list[Segment]:
        """The current segments; ResourceError where one is missing."""
        names = self._names()
        if lost := [name for name in names if not (self.folder / name).is_dir()]:
            raise ResourceError(
                f"The index lacks {lost[0]}, which its manifest names.",
                where=str(self.folder),
                hint="Remove the folder; it is built anew.",
            )
        return [Segment(self.folder / name) for name in names]

    def _intact(self) -> list[Segment]:
        """The current segments that are as they were written."""
        try:
            names = self._names()
        except ResourceError as error:
            log.warning("%s It is made again.", error.message)
            return []
        intact = [name for name in names if is_intact(self.folder / name)]
        if lost := len(names) - len(intact):
            log.warning("%d of %d segments of the index %s are gone or not as written, and are built again.",
                        lost, len(names), self.folder)  # fmt: skip
        return [Segment(self.folder / name) for name in intact]

    def _names(self) -> list[str]:
        """The segments that the manifest names; ResourceError where it is not as it was written."""
        file = self.folder / MANIFEST
        if not file.is_file():
            return []
        try:
            names = json.loads(file.read_text(encoding="utf-8"))["segments"]
            if isinstance(names, list) and all(isinstance(name, str) and name == Path(name).name for name in names):
                return names
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        raise ResourceError(
            "The manifest of the index is not as it was written.",
            where=str(file),
            hint="Put it back from a copy, or run the recipe again.",
        )

    def update(
        self, documents: Iterable[Document], chunker: Callable[[Document], Iterator[Passage]], search: Search
    ) -> IndexUpdate:
        """Make the index hold exactly these documents, and open `search` on it.

        Only new documents are chunked and embedded; a document whose digest is unchanged stays where it is. A few
        segments are rewritten from their stored passages: those that lose a document, and small ones, which are merged
        so that there are never many. A lock makes a second process that builds the same index wait. A segment that is
        gone or was changed is built again, with a warning.
        """
        if not cache_is_read_only():
            self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock") if self.folder.is_dir() else nullcontext():
            before = self._intact()
            full, rest, unchanged, update = self._index_new(documents, chunker, search, before)
            after = self._merge(before, full, rest, unchanged, search)
            if [segment.folder for segment in after] != [segment.folder for segment in before]:
                self._commit(after)
            search.open(after)
        update.gone = sum(len(segment.documents) for segment in before) - len(unchanged)
        update.documents, update.passages = len(unchanged) + update.new, sum(map(len, after))
        return update

    def _index_new(
        self,
        documents: Iterable[Document],
        chunker: Callable[[Document], Iterator[Passage]],
        search: Search,
        before: Sequence[Segment],
    ) -> tuple[list[Segment], _Batch, set[str], IndexUpdate]:
        """The full new segments, the rest that is not written yet, and the names of the unchanged documents."""
        digests = {document.name: document.digest for segment in before for document in segment.documents}
        full, batch, unchanged, seen, update = list[Segment](), _Batch(), set[str](), set[str](), IndexUpdate()
        for document in documents:
            if document.name in seen:
                raise DataError(f"Two documents are called {document.name!r}.", hint="Give each a unique name.")
            seen.add(document.name)
            digest = document.digest
            if digests.get(document.name) == digest:
                unchanged.add(document.name)
                continue
            passages = [passage for passage in chunker(document) if passage.text.strip()]
            if not passages:
                update.empty.append(document.name)
            update.new += 1
            batch.documents.append(IndexedDocument(document.name, digest, len(passages)))
            batch.passages.extend(passages)
            if len(batch) >= self.most:
                full.append(self._write([], batch, search))
                batch = _Batch()
        return full, batch, unchanged, update

    def _merge(
        self, before: Sequence[Segment], full: Sequence[Segment], rest: _Batch, unchanged: set[str], search: Search
    ) -> list[Segment]:
        """The next segments: complete ones stay; those that lost a document, small ones and the rest become one."""
        complete, remainders = list[Segment](), list[_Remainder]()
        for segment in before:
            remains = [document.name in unchanged for document in segment.documents]
            if all(remains) and remains:
                complete.append(segment)
            elif any(remains):
                remainders.append(_Remainder(segment, remains))
        size = len(rest) + sum(map(len, remainders))
        while complete and (rest.documents or remainders) and len(complete[-1]) <= min(2 * size, self.most - size):
            last = complete.pop()
            size += len(last)
            remainders.insert(0, _Remainder(last, [True] * len(last.documents)))
        merged = [self._write(remainders, rest, search)] if remainders or rest.documents else []
        return [*complete, *full, *merged]

    def _write(self, remainders: Sequence[_Remainder], batch: _Batch, search: Search) -> Segment:
        """A segment of the remaining documents of earlier ones, then of a batch; an existing equal one is reused."""
        documents, passages, reused = list[IndexedDocument](), list[Passage](), list[ReusedRows]()
        for remainder in remainders:
            rows, stored = remainder.rows, remainder.segment.passages()
            documents += remainder.documents
            passages += [stored[row] for row in rows]
            reused.append(ReusedRows(remainder.segment.folder, rows))
        documents, passages = documents + batch.documents, passages + batch.passages
        name = content_hash([[document.name, document.digest] for document in documents])[:24]

        def make(folder: Path) -> None:
            write_segment(folder, documents, passages)
            search.write(folder, [passage.indexed_text for passage in passages], reused)

        return Segment(build_once(self.folder / name, make))

    def _commit(self, segments: Sequence[Segment]) -> None:
        """Replace the manifest atomically, then remove the folders of other segments."""
        names = [segment.folder.name for segment in segments]
        temporary = self.folder / f".{MANIFEST}"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"format": 1, "segments": names}))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / MANIFEST)
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)
                folder.with_name(f".sealed-{folder.name}.json").unlink(missing_ok=True)

    def copy(self, to: Path) -> None:
        """Copy the current index into a new folder."""
        to.mkdir(parents=True)
        for segment in self.segments():
            shutil.copytree(segment.folder, to / segment.folder.name)
        shutil.copyfile(self.folder / MANIFEST, to / MANIFEST)
