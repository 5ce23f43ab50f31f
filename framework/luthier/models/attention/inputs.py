"""The arguments of a network's forward pass for a packed batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from luthier.contracts.batch import Batch
from luthier.errors import RecipeError
from luthier.models.attention.packing import Packing

PACKED_ATTENTION = "luthier_packed"
"""The name of packed attention among transformers' attention implementations."""

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose tokens meet only in attention, over all of the past or over a window of it."""


def network_inputs(batch: Batch, config: Any) -> dict[str, Any]:
    """The arguments with which no sequence of the batch attends to another; `config` is the network's.

    Under "luthier_packed" the mask is a single True of four dimensions, which transformers hands on untouched: no
    mask is built, and a network that loses the packing on the way to its attention is found out there. Under any
    other implementation transformers makes the mask from the restarting positions, which needs that neither a mask
    nor a cache is given. Raises RecipeError for networks whose layers carry a state from token to token.
    """
    inputs: dict[str, Any] = {
        "input_ids": batch.input_ids,
        "position_ids": batch.positions,
        "attention_mask": None,
        "use_cache": False,
    }
    text = config.get_text_config()
    if len(batch.boundaries) - 1 > len(batch.input_ids):
        _refuse_state(text)
    if text._attn_implementation == PACKED_ATTENTION:
        inputs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
        inputs["packing"] = Packing(batch.boundaries, _padding(batch), batch.prefix_of)
    elif batch.prefix_of:
        inputs["attention_mask"] = _tree_mask(batch, text)
    return inputs


def _tree_mask(batch: Batch, config: Any) -> Tensor:
    """What each token sees, [B, 1, T, T]: its sequence and its trunk up to itself; for implementations of transformers.

    bool, and what is added to the scores for eager attention.
    """
    trunks = torch.tensor([batch.boundaries[batch.prefix_of.get(n, n)] for n in range(len(batch.boundaries) - 1)])
    first = trunks.repeat_interleave(torch.tensor(batch.boundaries).diff()).to(batch.segments.device)
    trunk = batch.segments.flatten()[first].view_as(batch.segments)
    own = batch.segments[:, None, :]
    mask = ((own == batch.segments[:, :, None]) | (own == trunk[:, :, None])).tril()[:, None]
    if config._attn_implementation != "eager":
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, torch.finfo(torch.float32).min)


def _refuse_state(config: Any) -> None:
    unknown = set(getattr(config, "layer_types", None) or KNOWN_LAYERS) - KNOWN_LAYERS
    if unknown:
        raise RecipeError(
            f"Packing would let examples leak into each other through the {', '.join(sorted(unknown))} layers "
            f"of {config.model_type}.",
            where="batch.packing",
            hint="Set batch.packing=false.",
        )


def _padding(batch: Batch) -> frozenset[int]:
    """The sequences to skip; known at no cost on a CPU only, elsewhere padding is computed like any other sequence.

    A batch of nothing but padding is computed too: its weights must get gradients, of zero, because the other ranks
    of a distributed run wait for them.
    """
    if batch.segments.device.type != "cpu":
        return frozenset()
    first = batch.segments.flatten()[torch.tensor(batch.boundaries[:-1])]
    padding = frozenset((first == 0).nonzero().flatten().tolist())
    return padding if len(padding) < len(first) else frozenset()
