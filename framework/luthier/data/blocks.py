"""Encoded rows on disk, memory-mapped, and the block to which each belongs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import WHOLE, Row, TokenSequence
from luthier.data.chunks import Chunk
from luthier.data.packing import Groups

_BUFFER = 1 << 20  # bytes of an array held before they are written
_KINDS = {
    "ids": "<i4",  # [tokens]
    "weights": "<f4",  # [tokens]
    "labels": "<i4",  # [tokens], or nothing where no sequence has labels
    "sequences": "<i8",  # [sequences + 1], the first token of each
    "rows": "<i8",  # [rows + 1], the first sequence of each
    "shared": "<i8",  # [rows], the length of the shared prefix of each row's sequences
    "examples": "<i8",  # [rows], the index of the example that each row came from
    "turns": "<i8",  # [rows], the messages after the turn that a row trains, WHOLE for whole conversations
    "values": "<f4",  # [rows · names], `Row.values`
    "blocks": "<i8",  # [blocks + 1], the first entry of each in `order`
    "order": "<i8",  # [rows], the rows block by block
}


class Blocks:
    """The encoded rows of a split, in blocks. Only the pages of the rows that are read are loaded.

    `facts` are the counts and findings of the encoding (`EncodingFacts`); `digest` is the sha256 of all tokens, weights
    and blocks. A worker process opens the files again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
        self.facts: dict[str, Any] = manifest["facts"]
        self._names: list[str] = manifest["values"]
        self.digest = hashlib.sha256(json.dumps(manifest["sha256"], sort_keys=True).encode()).hexdigest()
        self._arrays = {name: _open(folder / name, kind) for name, kind in _KINDS.items()}

    def __reduce__(self) -> tuple[type[Blocks], tuple[Path]]:
        return Blocks, (self.folder,)

    def __len__(self) -> int:
        return len(self._arrays["blocks"]) - 1

    @property
    def row_count(self) -> int:
        return len(self._arrays["rows"]) - 1

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the further values that each row has."""
        return tuple(self._names)

    def row(self, number: int) -> Row:
        """The row number `number` in the order of encoding, from 0."""
        first, last = self._arrays["rows"][number : number + 2].tolist()
        borders = self._arrays["sequences"][first : last + 1].tolist()
        whole = TokenSequence(
            self._arrays["ids"],
            self._arrays["weights"],
            self._arrays["labels"] if len(self._arrays["labels"]) else None,
        )
        sequences = tuple(whole.at(slice(begin, end)) for begin, end in pairwise(borders))
        width = len(self._names)
        values = self._arrays["values"][number * width : (number + 1) * width].tolist()
        return Row(sequences, dict(zip(self._names, values, strict=True)), int(self._arrays["shared"][number]))

    def rows(self, block: int) -> list[Row]:
        """The rows of a block, in the order in which they are packed."""
        return [self.row(number) for number in self._members(block)]

    def examples(self, block: int) -> list[int]:
        """The index of the example of each row of a block."""
        return [int(self._arrays["examples"][number]) for number in self._members(block)]

    def turns(self, block: int) -> list[int]:
        """For each row of a block, the number of messages after the turn that it trains; `WHOLE` for whole ones."""
        return [int(self._arrays["turns"][number]) for number in self._members(block)]

    def example(self, row: int) -> int:
        """The index of the example of a row."""
        return int(self._arrays["examples"][row])

    def _members(self, block: int) -> list[int]:
        begin, end = self._arrays["blocks"][block : block + 2].tolist()
        members: list[int] = self._arrays["order"][begin:end].tolist()
        return members


class BlocksWriter:
    """Writes rows one after another into an empty folder; only their lengths are held in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lengths: list[NDArray[np.int64]] = []
        self._names: list[str] | None = None
        self._files = {name: _File(folder / name, kind) for name, kind in _KINDS.items()}
        self._tokens = self._sequences = 0
        for name in ("sequences", "rows"):
            self._files[name].add([0])

    def add(self, chunk: Chunk, examples: NDArray[np.int64], turns: NDArray[np.int64] | None = None) -> None:
        """Write rows, the index of the example of each, and the turns that they train (`WHOLE` without `turns`)."""
        names = sorted(chunk.rows[0].values) if chunk.rows else self._names
        assert self._names in (None, names), "rows of one method have the same values"
        self._names = names
        self._files["ids"].add(chunk.ids)
        self._files["weights"].add(chunk.weights)
        self._files["labels"].add(chunk.labels)
        self._files["sequences"].add(self._tokens + np.cumsum(chunk.sequence_lengths))
        self._files["rows"].add(self._sequences + np.cumsum(chunk.sequences))
        self._files["shared"].add(chunk.shared)
        self._files["examples"].add(examples)
        self._files["turns"].add(np.full(len(chunk.rows), WHOLE) if turns is None else turns)
        if names:
            self._files["values"].add([row.values[name] for row in chunk.rows for name in names])
        self._tokens += int(chunk.sequence_lengths.sum())
        self._sequences += int(chunk.sequences.sum())
        self._lengths.append(chunk.lengths)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row written so far, int64 [rows]."""
        return np.concatenate(self._lengths) if self._lengths else np.empty(0, dtype=np.int64)

    def close(self, groups: Groups, facts: dict[str, Any]) -> None:
        """Write the blocks and `blocks.json`, which completes the folder."""
        self._files["order"].add([row for group in groups for row in group])
        self._files["blocks"].add(np.cumsum([0, *map(len, groups)]))
        manifest = {
            "facts": facts,
            "values": self._names or [],
            "sha256": {name: file.close() for name, file in self._files.items()},
        }
        (self.folder / "blocks.json").write_text(json.dumps(manifest), encoding="utf-8")


class _File:
    def __init__(self, path: Path, kind: str) -> None:
        self._file, self._kind = path.open("wb"), kind
        self._sha256, self._buffer = hashlib.sha256(), bytearray()

    def add(self, values: Iterable[Any] | NDArray[Any]) -> None:
        self._buffer += np.asarray(values, dtype=self._kind).tobytes()
        if len(self._buffer) > _BUFFER:
            self._flush()

    def close(self) -> str:
        self._flush()
        self._file.close()
        return self._sha256.hexdigest()

    def _flush(self) -> None:
        self._sha256.update(self._buffer)
        self._file.write(self._buffer)
        self._buffer.clear()


def _open(path: Path, kind: str) -> NDArray[Any]:
    if not path.exists() or path.stat().st_size == 0:  # earlier versions wrote no labels
        return np.empty(0, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r")
