"""Ask a teacher once about all tokens that will be trained on, and keep what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from luthier.api import Row, TokenSequence, content_hash, packed_batches, sha256_of_file, shifted_targets
from luthier_distillation.offline_teacher import FORMAT, MANIFEST, keys, spread
from luthier_distillation.teacher import Live, Told

Both = tuple[TokenSequence, TokenSequence]
"""A sequence as the student reads it, and as the teacher is shown it, which ends in the same trained tokens."""
PART = 2**15  # trained tokens of a part, at least
CHUNK = 256  # tokens whose logits exist at once


@dataclass(frozen=True, slots=True)
class Keeper:
    """Writes a folder that `Kept` reads, with the `top` likeliest tokens; parts that are there already stay.

    A part counts as there if it was made whole, by the same teacher, of the same sequences.
    """

    folder: Path
    teacher: Live
    top: int
    device: torch.device

    def __call__(self, asked: Iterable[Both], tokenizer: str, heard: Callable[[str], None]) -> dict[str, Any]:
        """Keep what the teacher says of the sequences; gives the facts of the manifest, means over all tokens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MANIFEST).unlink(missing_ok=True)
        lineages = {name: model.lineage() for name, model in self.teacher.models.items()}
        who = content_hash([FORMAT, lineages, self.teacher.shares, self.top])
        sums, told, size, width = {}, np.zeros(4), 0, 0
        for number, part in enumerate(_parts(asked)):
            file = self.folder / f"part-{number:05}.safetensors"
            name = content_hash([who, *(keys(side).tolist() for side in zip(*part, strict=True))])
            made = _described(file, name)
            if made is None:
                self._make(file, name, part)
                made = _described(file, name)
                assert made is not None, "what was just written is there"
            numbers, width = json.loads(made["told"]), int(made["width"])
            told += np.array([*numbers[:3], 0])
            told[3] = max(told[3], numbers[3])
            sums[file.name], size = sha256_of_file(file), size + file.stat().st_size
            heard(f"{int(told[0]):,} tokens kept")
        for file in set(self.folder.glob("part-*.safetensors")) - {self.folder / name for name in sums}:
            file.unlink()  # of other data
        count = max(1.0, told[0])
        facts = {
            "tokens": int(told[0]),
            "bytes_per_token": round(size / count, 1),
            "left_out": told[1] / count,
            "most_left_out": told[3],
            "divergence": told[2] / count,
        }
        manifest = {
            "format": FORMAT, "teacher": self.teacher.said, "lineage": lineages, "tokenizer": tokenizer,
            "top": self.top, "width": width, "facts": facts, "sha256": sums,
        }  # fmt: skip
        seal(self.folder, manifest)
        return facts

    @torch.no_grad()
    def _make(self, file: Path, name: str, part: Sequence[Both]) -> None:
        order: list[int] = []
        kept: list[tuple[Tensor, Tensor, Tensor]] = []
        told, width = torch.zeros(4, dtype=torch.float64), 0
        for group, batch in packed_batches([Row((shown,)) for _, shown in part], self.device):
            where = shifted_targets(batch)[1].nonzero().flatten()
            said = self.teacher(batch, where)
            order += group
            width = said.width
            for start in range(0, len(where), CHUNK):
                kept.append(self._likeliest(said, slice(start, start + CHUNK), told))
        counts = [int(np.count_nonzero(part[number][0].weights[1:])) for number in order]
        ids, log_probs, left = (torch.cat(each).numpy() for each in zip(*kept, strict=True))
        arrays = {
            "keys": keys([part[number][0] for number in order]),
            "starts": np.cumsum(np.array([0, *counts], dtype=np.int64)),
            "ids": ids.astype(np.uint16 if width <= 2**16 else np.uint32),
            "log_probs": log_probs,
            "left": left,
        }
        described = {"of": name, "told": json.dumps(told.tolist()), "width": str(width)}
        store(file, arrays, described)

    def _likeliest(self, said: Told, rows: slice, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is kept of a chunk of tokens; adds to `told`: tokens, what is left out of each, the divergence."""
        whole = said(rows, 1.0, said.width)
        top = whole.topk(min(self.top, said.width), dim=-1)
        others = whole.scatter(1, top.indices, -torch.inf).logsumexp(-1).clamp(min=-60.0)
        log_probs, left = top.values.half(), others.half()
        again = spread(top.indices, log_probs, left, said.width)
        told[0] += len(whole)
        told[1] += others.exp().sum().cpu()
        told[2] += (whole.exp() * (whole - again)).sum().cpu()
        told[3] = max(float(told[3]), float(others.exp().max()) if len(whole) else 0.0)
        return top.indices.cpu(), log_probs.cpu(), left.cpu()


def _parts(asked: Iterable[Both]) -> Iterator[list[Both]]:
    """The sequences that something of is trained on, each once, in parts."""
    seen: set[int] = set()
    part: list[Both] = []
    tokens = 0
    for sequence, shown in asked:
        key, count = int(keys([sequence])[0]), int(np.count_nonzero(sequence.weights[1:]))
        if not count or key in seen:
            continue
        seen.add(key)
        part.append((sequence, shown))
        tokens += count
        if tokens >= PART:
            yield part
            part, tokens = [], 0
    if part:
        yield part


def _described(file: Path, name: str) -> dict[str, str] | None:
    """What the file says of itself, if it is the part of that name, whole."""
    try:
        with safe_open(file, framework="np") as opened:
            found: dict[str, str] = opened.metadata() or {}
            opened.get_tensor("left")
    except (OSError, SafetensorError):
        return None
    return found if found.get("of") == name else None


def store(file: Path, arrays: dict[str, NDArray[Any]], described: dict[str, str]) -> None:
    """Write a part whole or not at all."""
    temporary = file.with_suffix(f".tmp-{os.getpid()}")
    save_file(arrays, temporary, described)
    temporary.replace(file)


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest, last, whole or not at all."""
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    temporary.replace(folder / MANIFEST)
