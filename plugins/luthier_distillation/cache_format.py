"""The files of a teacher cache.

A teacher cache is a folder of parts, `part-00000.safetensors` and so on, and the manifest `teacher.json`, written
last, with each part's sha256 and a `seal` over all that it says. A part holds sequences one after another: `keys`
uint64 [s] are hashes of their content, `starts` int64 [s + 1] where the trained tokens of each begin, `ids` [n, k] and
`log_probs` float16 [n, k] the top-k next tokens, `left` float16 [n] the log-probability of all others together, NaN
where a position has no distribution. Its metadata have a `sha256` of the arrays and of the other metadata.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from luthier.api import TokenSequence, content_hash

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
    save_file(arrays, temporary, {**metadata, "sha256": _part_digest(arrays, metadata)})
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
    temporary.write_text(json.dumps({**manifest, "seal": _seal(manifest)}, indent=2), encoding="utf-8")
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What `write_manifest` wrote; None where there is none, or it is not as it was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict):
        return None
    body = {key: value for key, value in manifest.items() if key != "seal"}
    return body if manifest.get("seal") == _seal(body) else None


def part_metadata(file: Path) -> dict[str, str] | None:
    """The metadata of a part; None where the file is missing, cut or not as it was written."""
    try:
        with safe_open(file, framework="np") as opened:
            metadata: dict[str, str] = opened.metadata() or {}
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError, ValueError, TypeError):
        return None
    written = metadata.pop("sha256", None)
    return metadata if written == _part_digest(arrays, metadata) else None


def _seal(manifest: Mapping[str, Any]) -> str:
    """Of the manifest as JSON gives it back."""
    return content_hash(json.loads(json.dumps(manifest)))


def _part_digest(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(content_hash(dict(metadata)).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
