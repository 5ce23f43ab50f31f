"""The files of a teacher cache.

A teacher cache is a folder of parts, `part-00000.safetensors` and so on, and the manifest `teacher.json`, written
last, with each part's sha256. A part holds sequences one after another: `keys` uint64 [s] are hashes of their content,
`starts` int64 [s + 1] where the trained tokens of each begin, `ids` [n, k] and `log_probs` float16 [n, k] the top-k
next tokens, `left` float16 [n] the log-probability of all others together, NaN where a position has no distribution.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from luthier.api import TokenSequence

MANIFEST, FORMAT = "teacher.json", 1
TopK = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Of n positions: token ids [n, k], their log-probabilities [n, k], and that of all other tokens together [n]."""


def sequence_keys(sequences: Iterable[TokenSequence]) -> NDArray[np.uint64]:
    """8 bytes of a hash of the ids and weights of each sequence, uint64 [s]."""
    hashes = [
        hashlib.blake2b(sequence.ids.tobytes() + sequence.weights.tobytes(), digest_size=8) for sequence in sequences
    ]
    return np.frombuffer(b"".join(one.digest() for one in hashes), np.uint64)


def write_part(
    file: Path,
    sequences: Sequence[TokenSequence],
    counts: Sequence[int],
    top_k: TopK,
    *,
    vocab_size: int,
    metadata: dict[str, str],
) -> None:
    """Write a part whole or not at all; `counts` are the numbers of positions that belong to each sequence."""
    ids, log_probs, remainder = top_k
    arrays: dict[str, NDArray[Any]] = {
        "keys": sequence_keys(sequences),
        "starts": np.cumsum(np.array([0, *counts], dtype=np.int64)),
        "ids": ids.astype(np.uint16 if vocab_size <= 2**16 else np.uint32),
        "log_probs": log_probs.astype(np.float16),
        "left": remainder.astype(np.float16),
    }
    temporary = file.with_suffix(f".tmp-{os.getpid()}")
    save_file(arrays, temporary, metadata)
    temporary.replace(file)


def write_manifest(
    folder: Path,
    *,
    teacher: str,
    lineage: dict[str, Any],
    tokenizer: str,
    top: int,
    vocab_size: int,
    facts: dict[str, Any],
    sha256: dict[str, str],
) -> None:
    """Write the manifest whole or not at all; `lineage` by the teachers' names, `sha256` by the parts' file names."""
    manifest = {
        "format": FORMAT, "teacher": teacher, "lineage": lineage, "tokenizer": tokenizer, "top": top,
        "width": vocab_size, "facts": facts, "sha256": sha256,
    }  # fmt: skip
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    temporary.replace(folder / MANIFEST)
