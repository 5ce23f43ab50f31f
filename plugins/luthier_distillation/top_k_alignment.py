"""What an endpoint found likely at each place of its answers, in the student's tokens, as `kept` reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import TokenSequence, content_hash, hash_of_tokenizer, sha256_of_file
from luthier_distillation.byte_alignment import pairs, runs
from luthier_distillation.endpoint import Likely, Reply
from luthier_distillation.offline_teacher import FORMAT, keys
from luthier_distillation.teacher_cache import seal, store
from luthier_distillation.token_bytes import ends, spelling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "part-00000.safetensors"
LEAST = -40.0  # the logarithm of no probability at all


def keep(
    folder: Path,
    said: Sequence[tuple[TokenSequence, Reply]],
    tokenizer: PreTrainedTokenizerBase,
    lineage: dict[str, Any],
    *,
    top: int,
    width: int,
) -> dict[str, Any]:
    """Write what was likely where a token of the student's begins at the same byte as one of the endpoint's.

    `said` are the answers as the student reads them, with the replies that they are made of, `width` the size of the
    student's vocabulary. Gives facts: tokens, those of which something is known, bytes a token, what is left out.
    """
    spelled, stops = spelling(tokenizer), set(ends(tokenizer))
    known = {each: number for number, each in enumerate(spelled) if each}
    laid: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for tokens, reply in said:
        run = runs(tokens.weights)[-1]
        ours = [(spelled[number], number in stops) for number in tokens.ids[run.start : run.stop].tolist()]
        theirs = [(bytes.fromhex(token), False) for token in reply.tokens]
        of_answer = (
            np.tile(np.arange(top), (len(run), 1)),
            np.full((len(run), top), LEAST, dtype=np.float32),
            np.full(len(run), np.nan, dtype=np.float32),
        )
        for mine, other in pairs(ours, theirs):
            of_answer[0][mine], of_answer[1][mine], of_answer[2][mine] = _row(reply.likely[other], known, top)
        laid.append(of_answer)
    ids, log_probs, left = zip(*laid, strict=True)
    arrays: dict[str, NDArray[Any]] = {
        "keys": keys([tokens for tokens, _ in said]),
        "starts": np.cumsum([0, *(len(each) for each in left)], dtype=np.int64),
        "ids": np.concatenate(ids).astype(np.uint16 if width <= 2**16 else np.uint32),
        "log_probs": np.concatenate(log_probs).astype(np.float16),
        "left": np.concatenate(left).astype(np.float16),
    }
    store(folder / FILE, arrays, {"of": content_hash(arrays["keys"].tolist())})
    facts = _facts(arrays["left"], (folder / FILE).stat().st_size)
    manifest = {
        "format": FORMAT, "teacher": str(lineage["name"]), "lineage": {"teacher": lineage},
        "tokenizer": hash_of_tokenizer(tokenizer), "top": top, "width": width, "facts": facts,
        "sha256": {FILE: sha256_of_file(folder / FILE)},
    }  # fmt: skip
    seal(folder, manifest)
    return facts


def _row(likely: Likely, known: dict[bytes, int], top: int) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Ids and log-probabilities of the tokens that the student has too, filled up with others, and what is left."""
    found = {known[spelled]: value for token, value in likely if (spelled := bytes.fromhex(token)) in known}
    found = dict(list(found.items())[:top])
    left = max(math.exp(LEAST), 1.0 - sum(math.exp(value) for value in found.values()))
    found |= dict.fromkeys(_others(found, top - len(found)), LEAST)
    return np.array(list(found)), np.array(list(found.values()), dtype=np.float32), math.log(left)


def _others(found: dict[int, float], count: int) -> Iterator[int]:
    free = (number for number in range(len(found) + count) if number not in found)
    for _, number in zip(range(count), free, strict=False):
        yield number


def _facts(left: NDArray[Any], size: int) -> dict[str, Any]:
    known = left[~np.isnan(left)].astype(np.float64)
    return {
        "tokens": len(left),
        "known": len(known),
        "bytes_per_token": round(size / max(1, len(left)), 1),
        "left_out": float(np.exp(known).mean()) if len(known) else 0.0,
        "most_left_out": float(np.exp(known).max()) if len(known) else 0.0,
    }
