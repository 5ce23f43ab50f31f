"""The attention function registered with transformers: per sequence for packed batches, else plain SDPA."""

from __future__ import annotations

import sys
from typing import Any, cast

import torch
from torch import Tensor, nn

from luthier.errors import RecipeError
from luthier.models.attention.kernels import attend, by_scores, choose
from luthier.models.attention.layouts import PACKED_ATTENTION
from luthier.models.attention.packing import AttentionLayer, Packing, Shared

_TOLD_OTHERWISE = {"position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "seq_idx"}
"""Tensors that layers hand on to any attention, and that say nothing which queries, keys and `packing` do not."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    s_aux: Tensor | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """The function behind "luthier_packed"; gives [B, T, Hq, D]. Stays outside whatever is compiled around it."""
    causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
    for name, given in unused.items():
        if isinstance(given, Tensor) and name not in _TOLD_OTHERWISE:
            raise RecipeError(
                f"{type(module).__name__} needs {name} in its attention, which {PACKED_ATTENTION} does not compute.",
                where="model.attn_implementation",
            )
    layer = AttentionLayer(scaling, dropout, sliding_window, softcap, causal, s_aux)
    if packing is None:
        return _plain(module, query, key, value, attention_mask, layer, unused), None
    lead = packing.lead
    if key.shape[2] != query.shape[2] or packing.boundaries[-1] != query.shape[0] * (query.shape[2] - lead):
        raise RecipeError(
            "Tokens were put before packed sequences: virtual tokens or a cache would serve the first one only.",
            where="batch.packing",
            hint="Set batch.packing=false.",
        )
    if packing.on_attention is not None:
        packing.on_attention(module, query, key, layer)
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        query, key, value = (t.to(torch.get_autocast_dtype(kind)) for t in (query, key, value))
    if not lead:
        return _by_kernel(query, key, value, packing, layer, _given(packing, module, key)), None
    (first, query), (before, key), (meant, value) = (
        t.split_with_sizes([lead, t.shape[2] - lead], dim=2) for t in (query, key, value)
    )
    behind = _by_kernel(query, key, value, packing, layer, (before, meant))
    return torch.cat([attend(first, before, meant, layer).transpose(1, 2), behind], dim=1), None


def _by_kernel(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: AttentionLayer, shared: Shared | None
) -> Tensor:
    kernel = choose(query.device.type, query.dtype, query.shape[-1], layer, shared=shared is not None)
    return kernel(query, key, value, packing, layer, shared)


def _given(packing: Packing, module: nn.Module, key: Tensor) -> Shared | None:
    """What the packing has for this layer, for each row of the batch."""
    if packing.before is None:
        return None
    keys, values = packing.before[cast(int, module.layer_idx)].to(key.dtype)
    return keys.expand(len(key), -1, -1, -1), values.expand(len(key), -1, -1, -1)


def _plain(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, layer: AttentionLayer, rest: Any
) -> Tensor:
    """What transformers' own SDPA would do, and soft caps and sinks besides."""
    if mask is not None and mask.shape == (1, 1, 1, 1) and key.shape[2] > 1:
        raise RecipeError(
            f"{type(module).__name__} was not told where the sequences of its batch end.",
            hint="Choose another attention implementation for this architecture, such as eager.",
        )
    if layer.softcap is not None or layer.sinks is not None:
        return by_scores(query, key, value, mask, layer).transpose(1, 2).contiguous()
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    out, _ = sdpa_attention_forward(
        module, query, key, value, mask, dropout=layer.dropout, scaling=layer.scaling, is_causal=layer.causal, **rest
    )
    return out


def asks_the_registry(network: nn.Module) -> bool:
    """Whether any layer looks its attention up among the functions that transformers knows.

    Other architectures accept any name for it, and then compute something else with its mask.
    """
    modules = {type(module).__module__ for module in network.modules()}
    return any(hasattr(sys.modules.get(name), "ALL_ATTENTION_FUNCTIONS") for name in modules)


def register() -> None:
    """Make "luthier_packed" known to transformers; doing so twice changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(PACKED_ATTENTION, packed_attention)
    AttentionMaskInterface.register(PACKED_ATTENTION, sdpa_mask)
