"""Scores of a reward model: the output of its head at the last token of each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.inference.log_probabilities import BLOCK, packed_batches
from luthier.models.lm_head import hidden_states
from luthier.models.wrappers import unwrapped


def reward_outputs(network: nn.Module, batch: Batch, positions: Tensor) -> Tensor:
    """Outputs of the head at positions of the flattened batch, float32 [positions, outputs]; computed in float32."""
    inner: Any = unwrapped(network)
    hidden = hidden_states(network, batch).flatten(0, 1)[positions]
    with torch.autocast(hidden.device.type, enabled=False):
        outputs: Tensor = inner.score(hidden.to(next(inner.score.parameters()).dtype))
    return outputs.float()


def last_token_positions(batch: Batch) -> Tensor:
    """Positions of the last token of each sequence of the rows in the flattened batch, int64 [sequences]."""
    positions = torch.tensor([batch.boundaries[number + 1] - 1 for number in batch.sequence_numbers], dtype=torch.int64)
    return positions.to(batch.input_ids.device, non_blocking=True)


@torch.no_grad()
def reward_scores(
    network: nn.Module, sequences: Sequence[TokenSequence], *, length: int = BLOCK
) -> NDArray[np.float32]:
    """Outputs at the last token of each sequence, float32 [sequences, outputs], from packed forward passes."""
    device = next(network.parameters()).device
    scores = np.zeros((len(sequences), int(unwrapped(network).config.num_labels)), dtype=np.float32)  # type: ignore[union-attr, arg-type]
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        scores[group] = reward_outputs(network, batch, last_token_positions(batch)).cpu().numpy()
    return scores
