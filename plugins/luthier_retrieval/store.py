"""The index of a collection on disk: it grows by what is new, and is whole at every moment.

A folder holds segments, which never change, and a manifest that names those which count. A segment is written beside
its place, flushed and renamed; then the manifest is replaced at once. A process that is killed leaves the manifest,
and so the index, as it was; finished segments that no manifest names yet are taken up by the next build.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock

from luthier.api import DataError, ResourceError, build_once, cache_is_read_only, content_hash
from luthier_retrieval.chunking import Passage
from luthier_retrieval.documents import Document
from luthier_retrieval.searches import Kept, Search
from luthier_retrieval.segment import Indexed, Segment, write

MANIFEST = "manifest.json"


@dataclass
class Built:
    """What a build found and did: the index's documents and passages, and how many documents were new or gone."""

    documents: int = 0
    passages: int = 0
    new: int = 0
    gone: int = 0
    empty: list[str] = field(default_factory=list)


@dataclass
class _Batch:
    """New documents that will be one segment."""

    documents: list[Indexed] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.passages)


class Store:
    """The segments below a folder. At most `most` passages that are new are written at once."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most

    def segments(self) -> list[Segment]:
        """Those that count now; ResourceError where one is missing."""
        file = self.folder / MANIFEST
        names = json.loads(file.read_text(encoding="utf-8"))["segments"] if file.is_file() else []
        if lost := [name for name in names if not (self.folder / name).is_dir()]:
            raise ResourceError(
                f"The index lacks {lost[0]}, which its manifest names.",
                where=str(self.folder),
                hint="Remove the folder; it is built anew.",
            )
        return [Segment(self.folder / name) for name in names]

    def update(
        self, documents: Iterable[Document], chunks: Callable[[Document], Iterator[Passage]], search: Search
    ) -> Built:
        """Let the index hold these documents and no others, and open `search` on it.

        Only what is new is cut and embedded: a document that says the same as before stays where it is. A few
        segments are rewritten from what they hold: those that lose a document, and small ones, so that there are never
        many. Another process that builds the same is waited for.
        """
        if not cache_is_read_only():
            self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock") if self.folder.is_dir() else nullcontext():
            before = self.segments()
            made, there, built = self._grown(documents, chunks, search, before)
            after = self._settled(before, made, there, search)
            if [one.folder for one in after] != [one.folder for one in before]:
                self._commit(after)
            search.open(after)
        built.gone = sum(len(one.documents) for one in before) - len(there)
        built.documents, built.passages = len(there) + built.new, sum(map(len, after))
        return built

    def _grown(
        self,
        documents: Iterable[Document],
        chunks: Callable[[Document], Iterator[Passage]],
        search: Search,
        before: Sequence[Segment],
    ) -> tuple[list[Segment | _Batch], set[str], Built]:
        """Segments of what is new, the last of it not written yet; and the names of those that are there already."""
        known = {each.name: each.digest for segment in before for each in segment.documents}
        made, there, seen, built = list[Segment | _Batch](), set[str](), set[str](), Built()
        batch = _Batch()
        for document in documents:
            if document.name in seen:
                raise DataError(f"Two documents are called {document.name!r}.", hint="Give each a name of its own.")
            seen.add(document.name)
            digest = document.digest
            if known.get(document.name) == digest:
                there.add(document.name)
                continue
            passages = [passage for passage in chunks(document) if passage.text.strip()]
            if not passages:
                built.empty.append(document.name)
            built.new += 1
            batch.documents.append(Indexed(document.name, digest, len(passages)))
            batch.passages.extend(passages)
            if len(batch) >= self.most:
                made.append(self._written([], batch, search))
                batch = _Batch()
        return [*made, batch], there, built

    def _settled(
        self, before: Sequence[Segment], made: Sequence[Segment | _Batch], there: set[str], search: Search
    ) -> list[Segment]:
        """The segments that will count: whole ones stay; losers, small ones and the rest of the new become one."""
        whole, carried = list[Segment](), list[tuple[Segment, list[bool]]]()
        for segment in before:
            stays = [each.name in there for each in segment.documents]
            if all(stays) and stays:
                whole.append(segment)
            elif any(stays):
                carried.append((segment, stays))
        *full, rest = made
        assert isinstance(rest, _Batch)
        size = len(rest) + sum(_kept_passages(segment, stays) for segment, stays in carried)
        while whole and (rest.documents or carried) and len(whole[-1]) <= min(2 * size, self.most - size):
            last = whole.pop()
            size += len(last)
            carried.insert(0, (last, [True] * len(last.documents)))
        joined = [self._written(carried, rest, search)] if carried or rest.documents else []
        return [*whole, *(one for one in full if isinstance(one, Segment)), *joined]

    def _written(self, carried: Sequence[tuple[Segment, list[bool]]], batch: _Batch, search: Search) -> Segment:
        """A segment of the documents of earlier ones that stay, then of a batch; the same is never written twice."""
        documents, passages, kept = list[Indexed](), list[Passage](), list[Kept]()
        for segment, stays in carried:
            counts = [each.passages for each in segment.documents]
            rows = np.flatnonzero(np.repeat(stays, counts))
            there = segment.passages()
            documents += [each for each, stay in zip(segment.documents, stays, strict=True) if stay]
            passages += [there[row] for row in rows]
            kept.append(Kept(segment.folder, rows))
        documents, passages = documents + batch.documents, passages + batch.passages
        name = content_hash([[each.name, each.digest] for each in documents])[:24]

        def make(folder: Path) -> None:
            write(folder, documents, passages)
            search.write(folder, [passage.searched for passage in passages], kept)

        return Segment(build_once(self.folder / name, make))

    def _commit(self, segments: Sequence[Segment]) -> None:
        """Replace the manifest at once, then remove what no longer counts."""
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

    def copy(self, to: Path) -> None:
        """The index as it is now, whole, in another folder."""
        to.mkdir(parents=True)
        for segment in self.segments():
            shutil.copytree(segment.folder, to / segment.folder.name)
        shutil.copyfile(self.folder / MANIFEST, to / MANIFEST)


def _kept_passages(segment: Segment, stays: Sequence[bool]) -> int:
    return sum(each.passages for each, stay in zip(segment.documents, stays, strict=True) if stay)
