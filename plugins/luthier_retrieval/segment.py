"""A segment: an immutable part of an index on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from luthier_retrieval.chunking import Passage

PASSAGES, DOCUMENTS = "passages.arrow", "documents.json"
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
        return Passage(**{name: self._table[name][number].as_py() for name in _SCHEMA.names})

    def passages(self) -> list[Passage]:
        return [Passage(**row) for row in self._table.to_pylist()]

    def names(self) -> list[str]:
        """The document of each passage."""
        names: list[str] = self._table["document"].to_pylist()
        return names


def write_segment(folder: Path, documents: Sequence[IndexedDocument], passages: Sequence[Passage]) -> None:
    """Write documents and passages into an empty folder."""
    rows: list[dict[str, Any]] = [asdict(passage) for passage in passages]
    with pa.OSFile(str(folder / PASSAGES), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
    content = json.dumps([asdict(document) for document in documents], ensure_ascii=False)
    (folder / DOCUMENTS).write_text(content, encoding="utf-8")
