"""Top-k alignment: an endpoint's top-k log-probabilities over its own tokens, cached over the student's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import TokenSequence, content_hash, hash_of_tokenizer, sha256_of_file
from luthier_distillation.byte_alignment import aligned_tokens, trained_spans
from luthier_distillation.cache_format import TopK, sequence_keys, write_manifest, write_part
from luthier_distillation.endpoint import Reply, TopLogprobs
from luthier_distillation.token_bytes import end_tokens, token_bytes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "part-00000.safetensors"
LOG_ZERO = -40.0
"""The log-probability of the tokens that pad a row to `top`, and the least one of the remainder."""


def cache_replies(
    folder: Path,
    answers: Sequence[tuple[TokenSequence, Reply]],
    tokenizer: PreTrainedTokenizerBase,
    lineage: dict[str, Any],
    *,
    top: int,
    vocab_size: int,
) -> dict[str, Any]:
    """Write a teacher cache of the positions at which a token of both begins at the same byte.

    `answers` are sequences as the student reads them, with the replies that they are made of; `vocab_size` is the
    student's. Returns facts: the number of tokens and of those with a distribution, bytes a token, what is left out.
    """
    bytes_of, ends = token_bytes(tokenizer), set(end_tokens(tokenizer))
    id_of = {token: token_id for token_id, token in enumerate(bytes_of) if token}
    cached: list[TopK] = []
    for sequence, reply in answers:
        span = trained_spans(sequence.weights)[-1]
        student = [(bytes_of[token], token in ends) for token in sequence.ids[span.start : span.stop].tolist()]
        teacher = [(bytes.fromhex(token), False) for token in reply.tokens]
        ids = np.tile(np.arange(top), (len(span), 1))
        log_probs = np.full((len(span), top), LOG_ZERO, dtype=np.float32)
        remainder = np.full(len(span), np.nan, dtype=np.float32)
        for own, other in aligned_tokens(student, teacher):
            ids[own], log_probs[own], remainder[own] = _top_k(reply.likely[other], id_of, top)
        cached.append((ids, log_probs, remainder))
    all_ids, all_log_probs, all_remainders = (np.concatenate(arrays) for arrays in zip(*cached, strict=True))
    sequences = [sequence for sequence, _ in answers]
    write_part(
        folder / FILE, sequences, [len(remainder) for _, _, remainder in cached],
        (all_ids, all_log_probs, all_remainders),
        vocab_size=vocab_size, metadata={"of": content_hash(sequence_keys(sequences).tolist())},
    )  # fmt: skip
    facts = _facts(all_remainders.astype(np.float16), (folder / FILE).stat().st_size)
    write_manifest(
        folder, teacher=str(lineage["name"]), lineage={"teacher": lineage}, tokenizer=hash_of_tokenizer(tokenizer),
        top=top, vocab_size=vocab_size, facts=facts, sha256={FILE: sha256_of_file(folder / FILE)},
    )  # fmt: skip
    return facts


def _top_k(logprobs: TopLogprobs, id_of: dict[bytes, int], top: int) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Ids and log-probabilities [top] of the tokens that the student has too, padded with others, and the remainder."""
    shared = {id_of[token]: value for code, value in logprobs if (token := bytes.fromhex(code)) in id_of}
    shared = dict(list(shared.items())[:top])
    remainder = max(math.exp(LOG_ZERO), 1.0 - sum(math.exp(value) for value in shared.values()))
    shared |= dict.fromkeys(_other_ids(shared, top - len(shared)), LOG_ZERO)
    return np.array(list(shared)), np.array(list(shared.values()), dtype=np.float32), math.log(remainder)


def _other_ids(taken: dict[int, float], count: int) -> Iterator[int]:
    """The first `count` token ids that are not taken."""
    free = (token_id for token_id in range(len(taken) + count) if token_id not in taken)
    for _, token_id in zip(range(count), free, strict=False):
        yield token_id


def _facts(remainder: NDArray[Any], size: int) -> dict[str, Any]:
    known = remainder[~np.isnan(remainder)].astype(np.float64)
    return {
        "tokens": len(remainder),
        "known": len(known),
        "bytes_per_token": round(size / max(1, len(remainder)), 1),
        "left_out": float(np.exp(known).mean()) if len(known) else 0.0,
        "most_left_out": float(np.exp(known).max()) if len(known) else 0.0,
    }
