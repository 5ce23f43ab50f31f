"""Writing a teacher cache: one pass of the teacher over all trained tokens, of which the top-k are stored."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luthier.api import Row, TokenSequence, content_hash, packed_batches, sha256_of_file, shifted_targets
from luthier_distillation.cache_format import FORMAT, MANIFEST, part_metadata, sequence_keys, write_manifest, write_part
from luthier_distillation.offline_teacher import spread_remainder
from luthier_distillation.teacher import TeacherDistributions, TeacherNetworks

log = logging.getLogger("luthier")
SequencePair = tuple[TokenSequence, TokenSequence]
"""A sequence as the student reads it and as the teacher reads it; both end in the same trained tokens."""
PART = 2**15  # trained tokens of a part, at least
CHUNK = 256  # tokens whose logits exist at once
LOG_ZERO = -60.0


@dataclass(frozen=True, slots=True)
class TeacherCacheWriter:
    """Writes a folder that `OfflineTeacher` reads, with the `top` likeliest tokens of each position.

    A part that is there already stays if it is complete, by the same teacher and of the same sequences.
    """

    folder: Path
    teacher: TeacherNetworks
    top: int
    device: torch.device

    def __call__(
        self, sequences: Iterable[SequencePair], tokenizer: str, report: Callable[[str], None]
    ) -> dict[str, Any]:
        """Cache the sequences and return the manifest's facts, of which `left_out` and `divergence` are means.

        `tokenizer` is the hash of the student's; `report` is called with a line after each part.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MANIFEST).unlink(missing_ok=True)
        lineages = {name: model.lineage() for name, model in self.teacher.models.items()}
        source = content_hash([FORMAT, lineages, self.teacher.shares, self.top])
        hashes, totals, size, vocab_size = {}, _Totals(), 0, 0
        for number, part in enumerate(_parts(sequences)):
            file = self.folder / f"part-{number:05}.safetensors"
            name = content_hash([source, *(sequence_keys(side).tolist() for side in zip(*part, strict=True))])
            metadata = _metadata(file, name)
            if metadata is None:
                self._write(file, name, part)
                metadata = _metadata(file, name)
                assert metadata is not None, "what was just written is there"
            totals.add(_Totals(*json.loads(metadata["told"])))
            vocab_size = int(metadata["width"])
            hashes[file.name], size = sha256_of_file(file), size + file.stat().st_size
            report(f"{int(totals.tokens):,} tokens cached")
        for file in set(self.folder.glob("part-*.safetensors")) - {self.folder / name for name in hashes}:
            file.unlink()  # of other data
        facts = totals.facts(size)
        write_manifest(
            self.folder, teacher=self.teacher.description, lineage=lineages, tokenizer=tokenizer, top=self.top,
            vocab_size=vocab_size, facts=facts, sha256=hashes,
        )  # fmt: skip
        return facts

    @torch.no_grad()
    def _write(self, file: Path, name: str, part: Sequence[SequencePair]) -> None:
        order: list[int] = []
        chunks: list[tuple[Tensor, Tensor, Tensor]] = []
        totals, vocab_size = _Totals(), 0
        for group, batch in packed_batches([Row((teacher,)) for _, teacher in part], self.device):
            positions = shifted_targets(batch)[1].nonzero().flatten()
            distributions = self.teacher(batch, positions)
            order += group
            vocab_size = distributions.vocab_size
            for start in range(0, len(positions), CHUNK):
                chunks.append(self._top_k(distributions, slice(start, start + CHUNK), totals))
        ids, log_probs, remainder = (torch.cat(tensors).numpy() for tensors in zip(*chunks, strict=True))
        sequences = [part[number][0] for number in order]
        metadata = {"of": name, "told": json.dumps(astuple(totals)), "width": str(vocab_size)}
        write_part(
            file, sequences, [trained_tokens(sequence) for sequence in sequences], (ids, log_probs, remainder),
            vocab_size=vocab_size, metadata=metadata,
        )  # fmt: skip

    def _top_k(
        self, distributions: TeacherDistributions, rows: slice, totals: _Totals
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Ids, log-probabilities float16 and remainder float16 of a chunk of positions, added to `totals`."""
        whole = distributions(rows, 1.0, distributions.vocab_size)
        top = whole.topk(min(self.top, distributions.vocab_size), dim=-1)
        others = whole.scatter(1, top.indices, -torch.inf).logsumexp(-1).clamp(min=LOG_ZERO)
        log_probs, remainder = top.values.half(), others.half()
        cached = spread_remainder(top.indices, log_probs, remainder, distributions.vocab_size)
        totals.add(
            _Totals(
                float(len(whole)),
                float(others.exp().sum()),
                float((whole.exp() * (whole - cached)).sum()),
                float(others.exp().max()) if len(whole) else 0.0,
            )
        )
        return top.indices.cpu(), log_probs.cpu(), remainder.cpu()


@dataclass(slots=True)
class _Totals:
    """Sums over positions: their number, the probability left out, KL(p ‖ p̂) in nats; and the most left out of one."""

    tokens: float = 0.0
    left_out: float = 0.0
    divergence: float = 0.0
    most_left_out: float = 0.0

    def add(self, other: _Totals) -> None:
        self.tokens += other.tokens
        self.left_out += other.left_out
        self.divergence += other.divergence
        self.most_left_out = max(self.most_left_out, other.most_left_out)

    def facts(self, size: int) -> dict[str, Any]:
        """The facts of the manifest; `size` is that of all parts in bytes."""
        count = max(1.0, self.tokens)
        return {
            "tokens": int(self.tokens),
            "bytes_per_token": round(size / count, 1),
            "left_out": self.left_out / count,
            "most_left_out": self.most_left_out,
            "divergence": self.divergence / count,
        }


def trained_tokens(sequence: TokenSequence) -> int:
    """The number of tokens with a weight, without the first one, which nothing predicts."""
    return int(np.count_nonzero(sequence.weights[1:]))


def _parts(sequences: Iterable[SequencePair]) -> Iterator[list[SequencePair]]:
    """The sequences with trained tokens, each once, in parts."""
    seen: set[int] = set()
    part: list[SequencePair] = []
    tokens = 0
    for student, teacher in sequences:
        key, count = int(sequence_keys([student])[0]), trained_tokens(student)
        if not count or key in seen:
            continue
        seen.add(key)
        part.append((student, teacher))
        tokens += count
        if tokens >= PART:
            yield part
            part, tokens = [], 0
    if part:
        yield part


def _metadata(file: Path, name: str) -> dict[str, str] | None:
    """The metadata of the part of that name; None where the file is missing, not as it was written or another part."""
    metadata = part_metadata(file)
    if metadata is None and file.exists():
        log.warning("%s is not as it was written, and is made again.", file)
    return metadata if metadata is not None and metadata.get("of") == name else None
