"""Log-probabilities of given tokens under a causal language model, from packed forward passes without gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data.collate import collate
from luthier.data.packing import best_fit
from luthier.models.lm_head import find_lm_head, hidden_states

BLOCK = 1024
"""Tokens of one forward pass; a single sequence may be longer."""
ROWS = 256
"""Positions whose logits are held at once."""


def packed_batches(
    rows: Sequence[Row], device: torch.device | str, *, length: int = BLOCK
) -> Iterator[tuple[list[int], Batch]]:
    """Pack rows into batches of one block of `length` tokens, longest first; yields (row indices, batch)."""
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    for group in best_fit(sizes, max(length, int(sizes.max(initial=1)))):
        yield group, collate([[rows[index] for index in group]]).to(device)


@torch.no_grad()
def log_probs(
    network: nn.Module, sequences: Sequence[TokenSequence], *, length: int = BLOCK
) -> list[NDArray[np.float32]]:
    """log p(token | preceding tokens) of each token of each sequence, float32 [n].

    The first token, and tokens of weight 0, get 0.
    """
    head = find_lm_head(network)
    device = next(network.parameters()).device
    log_probs_of = [np.zeros(len(sequence), dtype=np.float32) for sequence in sequences]
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        hidden = hidden_states(network, batch)[0]
        wanted = ((batch.weights[0] > 0) & (batch.positions[0] > 0)).nonzero().flatten()
        scored = head.log_probs(hidden[wanted - 1], batch.input_ids[0, wanted]).float().cpu().numpy()
        flat = np.zeros(batch.boundaries[-1], dtype=np.float32)
        flat[wanted.cpu().numpy()] = scored
        for index, part in zip(group, np.split(flat, batch.boundaries[1:-1]), strict=True):
            log_probs_of[index] = part
    return log_probs_of


@torch.no_grad()
def likeliest(
    network: nn.Module, sequences: Sequence[TokenSequence], *, length: int = BLOCK
) -> list[NDArray[np.bool_]]:
    """Whether each token is the likeliest after those before it, bool [n]; False for the first and of weight 0."""
    head, device = find_lm_head(network), next(network.parameters()).device
    found = [np.zeros(len(sequence), dtype=np.bool_) for sequence in sequences]
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        hidden = hidden_states(network, batch)[0]
        wanted = ((batch.weights[0] > 0) & (batch.positions[0] > 0)).nonzero().flatten()
        flat = np.zeros(batch.boundaries[-1], dtype=np.bool_)
        for places in torch.split(wanted, ROWS):  # the logits of a position are of the whole vocabulary
            best = head.logits(hidden[places - 1]).argmax(-1)
            flat[places.cpu().numpy()] = (best == batch.input_ids[0, places]).cpu().numpy()
        for index, part in zip(group, np.split(flat, batch.boundaries[1:-1]), strict=True):
            found[index] = part
    return found


def weighted_losses(network: nn.Module, rows: Sequence[Row]) -> NDArray[np.float64]:
    """(sum of weight · -log p, sum of weights) of each row, float64 [rows, 2]."""
    sequences = [sequence for row in rows for sequence in row.sequences]
    scored = iter(log_probs(network, sequences))
    result = np.zeros((len(rows), 2))
    for number, row in enumerate(rows):
        for sequence in row.sequences:
            result[number] += -float(sequence.weights[1:] @ next(scored)[1:]), float(sequence.weights[1:].sum())
    return result
