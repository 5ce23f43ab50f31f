"""A segment: an immutable part of an index on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.typing import NDArray

from luthier_retrieval.chunking import Passage

PASSAGES, DOCUMENTS, DIGESTS = "passages.arrow", "documents.json", "digests.npy"
Digests = NDArray[np.uint64]
_SCHEMA = pa.schema([("document", pa.string()), ("heading", pa.string()), ("text", pa.string())])


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document in a segment: its name, the digest of its content, and its number of passages."""

    name: str
    digest: str
    passages: int


@dataclass(frozen=True)
class Segment:
    """A folder with the memory-mapped passages of some documents, and the files of each search's index of them."""

    folder: Path

    @cached_property
    def documents(self) -> list[IndexedDocument]:
        rows = json.loads((self.folder / DOCUMENTS).read_text(encoding="utf-8"))
        return [IndexedDocument(**row) for row in rows]

    @cached_property
    def _table(self) -> pa.Table:
        with pa.memory_map(str(self.folder / PASSAGES)) as source:
            return pa.ipc.open_file(source).read_all()

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def passage(self, number: int) -> Passage:
        return Passage(*(self._table[name][number].as_py() for name in _SCHEMA.names))

    def passages(self) -> list[Passage]:
        return [Passage(**row) for row in self._table.to_pylist()]

    @cached_property
    def digests(self) -> Digests:
        """64 bits of the hash of each passage's headings and text, by which equal passages are found, [passages]."""
        if (self.folder / DIGESTS).is_file():
            stored: Digests = np.load(self.folder / DIGESTS, mmap_mode="r", allow_pickle=False)
            return stored
        batches = self._table.to_batches(max_chunksize=1024)  # an index of an earlier version
        return np.concatenate([np.zeros(0, np.uint64), *(_digests(batch.to_pylist()) for batch in batches)])

    def names(self) -> list[str]:
        """The document of each passage."""
        names: list[str] = self._table["document"].to_pylist()
        return names


def write_segment(folder: Path, documents: Sequence[IndexedDocument], passages: Sequence[Passage]) -> None:
    """Write documents and passages into an empty folder."""
    rows: list[dict[str, Any]] = [{name: getattr(passage, name) for name in _SCHEMA.names} for passage in passages]
    with pa.OSFile(str(folder / PASSAGES), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
    np.save(folder / DIGESTS, _digests(rows), allow_pickle=False)
    content = json.dumps([asdict(document) for document in documents], ensure_ascii=False)
    (folder / DOCUMENTS).write_text(content, encoding="utf-8")


def _digests(rows: Sequence[Mapping[str, str]]) -> Digests:
    texts = (f"{row['heading']}\0{row['text']}".encode("utf-8", "surrogatepass") for row in rows)
    return np.frombuffer(b"".join(blake2b(text, digest_size=8).digest() for text in texts), dtype=np.uint64)
