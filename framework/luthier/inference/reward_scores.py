"""What a network that judges says of texts: one number or several, read at the last token."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.inference.log_probabilities import BLOCK, packed_batches
from luthier.models.attention import network_inputs
from luthier.models.lm_head import last_hidden_state, unwrapped


def reward_outputs(network: nn.Module, batch: Batch, places: Tensor) -> Tensor:
    """What the network says at places of the flattened batch, float32 [places, outputs]; in float32 throughout."""
    inner: Any = unwrapped(network)
    hidden = last_hidden_state(network, network_inputs(batch, inner.config)).flatten(0, 1)[places]
    with torch.autocast(hidden.device.type, enabled=False):
        found: Tensor = inner.score(hidden.to(next(inner.score.parameters()).dtype))
    return found.float()


def last_token_positions(batch: Batch) -> Tensor:
    """The last token of each sequence of the batch's rows, in the flattened batch."""
    places = torch.tensor([batch.boundaries[number + 1] - 1 for number in batch.sequence_numbers], dtype=torch.int64)
    return places.to(batch.input_ids.device, non_blocking=True)


@torch.no_grad()
def reward_scores(network: nn.Module, sequences: Many[TokenSequence], *, length: int = BLOCK) -> NDArray[np.float32]:
    """What the network says at the end of each sequence, [sequences, outputs], from packed forward passes."""
    device = next(network.parameters()).device
    found = np.zeros((len(sequences), int(unwrapped(network).config.num_labels)), dtype=np.float32)  # type: ignore[union-attr, arg-type]
    for group, batch in packed_batches([Row((sequence,)) for sequence in sequences], device, length=length):
        found[group] = reward_outputs(network, batch, last_token_positions(batch)).cpu().numpy()
    return found
