"""Batches with shared prefixes: their whole sequences, and sums and values of each."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from luthier.contracts.batch import Batch, TokenSequence


def token_sequences(batch: Batch) -> list[TokenSequence]:
    """The sequences of a batch's rows, with their prefixes and in order; synchronises with the device."""
    ids, weights = batch.input_ids.flatten().cpu().numpy().astype(np.int32), batch.weights.flatten().cpu().numpy()

    def whole(number: int) -> TokenSequence:
        parts = [batch.prefix_of[number], number] if number in batch.prefix_of else [number]
        spans = [slice(batch.boundaries[part], batch.boundaries[part + 1]) for part in parts]
        return TokenSequence(*(np.concatenate([array[span] for span in spans]) for array in (ids, weights)))

    return [whole(number) for number in batch.sequence_numbers]


def sequence_sums(values: Tensor, batch: Batch) -> Tensor:
    """The sum of per-token values [B, T] over each sequence of the batch's rows, [len(batch.sequence_numbers)]."""
    lengths = [stop - start for start, stop in zip(batch.boundaries, batch.boundaries[1:], strict=False)]
    parts = values.flatten().split_with_sizes(lengths)
    if not batch.sequence_numbers:
        return values.flatten()[:0]  # nothing, but with a gradient
    return torch.stack([parts[number].sum() for number in batch.sequence_numbers])


def scatter_to_tokens(values: list[Tensor], batch: Batch, *, empty: float = 0) -> Tensor:
    """Values of the last tokens of each sequence of the batch's rows, laid where those tokens are predicted, [B, T].

    `values` holds a tensor for each of `batch.sequence_numbers`; one of n values is for the last n tokens.
    """
    result = torch.full((batch.input_ids.numel(),), empty, dtype=values[0].dtype if values else torch.float32)
    for number, each in zip(batch.sequence_numbers, values, strict=True):
        stop = batch.boundaries[number + 1] - 1
        result[stop - len(each) : stop] = each
    return result.view(batch.input_ids.shape)
