"""Pairs of texts for a cross-encoder: encoded as the tokenizer encodes a pair, and scored."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.contracts.text_embedding import RankedDocument, Reranker
from luthier.errors import DataError
from luthier.inference.class_scores import class_outputs
from luthier.inference.log_probabilities import packed_batches
from luthier.models.attention.encoder_proof import trunk_of_encoder
from luthier.models.wrappers import unwrapped

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNTYPED = 1 << 20
"""The number of tokens of type 0 where there are no others: more than a text has."""
SECOND = "second"
"""The value of a row of pairs: how many tokens have the type 0, before those of the second text."""


def encode_text_pair(
    query: str, document: str, tokenizer: PreTrainedTokenizerBase, length: int
) -> tuple[TokenSequence, int, int]:
    """A pair as the tokenizer encodes it, cut to `length` tokens at the end of the document.

    Also the number of tokens of type 0 before those of the document (`UNTYPED`, where the tokenizer tells no types),
    and how many tokens close the pair. DataError where the query leaves no room for the document.
    """
    room = length - tokenizer.num_special_tokens_to_add(pair=True)
    if len(tokenizer(query, add_special_tokens=False, verbose=False).input_ids) >= room:
        raise DataError(
            f"The query leaves no room for a document: both together are cut to {length} tokens.",
            hint="Raise method.length, or leave out such rows: data.on_bad_row=skip.",
        )
    encoded = tokenizer(  # a list of one: an empty second text by itself is none to the tokenizer
        [query], [document],
        truncation="only_second", max_length=length, verbose=False, return_special_tokens_mask=True,
    )  # fmt: skip
    ids = np.asarray(encoded.input_ids[0], np.int32)
    types = np.asarray(encoded["token_type_ids"][0] if "token_type_ids" in encoded else np.zeros_like(ids))
    first = int((types == 0).sum())
    if (types[:first] != 0).any() or (types[first:] != 1).any():
        raise DataError(f"{type(tokenizer).__name__} gives a pair the token types {sorted(set(types.tolist()))}.")
    weights = np.ones(len(ids), np.float32)
    weights[0] = 0
    closing = next((at for at, special in enumerate(reversed(encoded.special_tokens_mask[0])) if not special), 0)
    return TokenSequence(ids, weights), first if first < len(ids) else UNTYPED, closing


def takes_token_types(network: nn.Module) -> bool:
    """Whether the network is told which tokens are of the second text."""
    inner = cast(Any, unwrapped(network))
    named = inspect.signature(trunk_of_encoder(inner).forward).parameters
    return "token_type_ids" in named and int(getattr(inner.config, "type_vocab_size", 0) or 0) > 1


def with_token_types(batch: Batch) -> Batch:
    """The batch with `token_type_ids` among its extras, int64 [B, T], by the value `second` of its rows."""
    counts = [len(group) for group in batch.sequence_groups]
    lengths = torch.tensor(batch.boundaries, device=batch.input_ids.device).diff()
    second = torch.full((len(lengths),), batch.input_ids.numel(), device=lengths.device)
    numbers = torch.tensor(batch.sequence_numbers, dtype=torch.int64, device=lengths.device)
    repeats = torch.tensor(counts, dtype=torch.int64, device=lengths.device)
    second[numbers] = batch.values[SECOND].long().repeat_interleave(repeats)
    types = batch.positions >= second.repeat_interleave(lengths).view_as(batch.positions)
    batch.extras = {**batch.extras, "token_type_ids": types.long()}
    return batch


def pair_outputs(network: nn.Module, batch: Batch) -> Tensor:
    """The output of a cross-encoder for each pair of a packed batch, float32 [sequences], each as if it were alone."""
    if batch.sequence_groups and takes_token_types(network):
        batch = with_token_types(batch)
    return class_outputs(network, batch)[:, 0]


@torch.no_grad()
def pair_scores(network: nn.Module, rows: Sequence[Row]) -> NDArray[np.float32]:
    """The outputs for rows of one pair each, float32 [rows]."""
    found = np.zeros(len(rows), dtype=np.float32)
    for group, batch in packed_batches(rows, next(network.parameters()).device):
        found[group] = pair_outputs(network, batch).cpu().numpy()
    return found


def reranked(
    network: nn.Module, tokenizer: PreTrainedTokenizerBase, reranker: Reranker, query: str, documents: Sequence[str]
) -> list[RankedDocument]:
    """The documents with their scores, the best first; of equal ones the earlier."""
    rows = []
    for document in documents:
        sequence, second, _ = encode_text_pair(query, document, tokenizer, reranker.length)
        rows.append(Row((sequence,), {SECOND: float(second)}))
    scores = pair_scores(network, rows).astype(np.float64)
    if reranker.activation == "sigmoid":
        scores = np.exp(-np.logaddexp(0.0, -scores))
    order = np.argsort(-scores, kind="stable").tolist()
    return [RankedDocument(number, float(scores[number]), documents[number]) for number in order]
