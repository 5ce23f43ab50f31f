"""How likely a language model finds given tokens: packed forward passes without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Many

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data.collate import collate
from luthier.data.packing import best_fit
from luthier.models.attention import network_inputs
from luthier.models.lm_head import find_lm_head, last_hidden_state, unwrapped

BLOCK = 1024
"""Tokens of one forward pass, or more where a single sequence is longer."""


def packed_batches(
    rows: Many[Row], device: torch.device | str, *, length: int = BLOCK
) -> Iterator[tuple[list[int], Batch]]:
    """The rows in packed batches of one block, longest first, each with the numbers of its rows."""
    sizes = np.array([len(row) for row in rows], dtype=np.int64)
    for group in best_fit(sizes, max(length, int(sizes.max(initial=1)))):
        yield group, collate([[rows[index] for index in group]]).to(device)


@torch.no_grad()
def log_probs(network: nn.Module, sequences: Many[TokenSequence], *, length: int = BLOCK) -> list[NDArray[np.float32]]:
    """log p(token | those before it) of each token of each sequence, float32 [n]; 0 for the first token.

    Only tokens of weight above 0 are scored; the others read 0.
    """
    head, config = find_lm_head(network), unwrapped(network).config
    device = next(network.parameters()).device
    found = [np.zeros(len(sequence), dtype=np.float32) for sequence in sequences]
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        hidden = last_hidden_state(network, network_inputs(batch, config))[0]
        wanted = ((batch.weights[0] > 0) & (batch.positions[0] > 0)).nonzero().flatten()
        scored = head.log_probs(hidden[wanted - 1], batch.input_ids[0, wanted]).float().cpu().numpy()
        flat = np.zeros(batch.boundaries[-1], dtype=np.float32)
        flat[wanted.cpu().numpy()] = scored
        for index, part in zip(group, np.split(flat, batch.boundaries[1:-1]), strict=True):
            found[index] = part
    return found


def weighted_losses(network: nn.Module, rows: Many[Row]) -> NDArray[np.float64]:
    """(sum of weight · -log p, sum of weights) of each row, [rows, 2]."""
    sequences = [sequence for row in rows for sequence in row.sequences]
    scored = iter(log_probs(network, sequences))
    result = np.zeros((len(rows), 2))
    for number, row in enumerate(rows):
        for sequence in row.sequences:
            result[number] += -float(sequence.weights[1:] @ next(scored)[1:]), float(sequence.weights[1:].sum())
    return result
