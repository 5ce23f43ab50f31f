"""Three kernels of packed attention, and the choice of the fastest for a device and dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from luthier.models.attention import blocks
from luthier.models.attention.packing import AttentionLayer, Packing, Shared

Kernel = Callable[[Tensor, Tensor, Tensor, Packing, AttentionLayer, Shared | None], Tensor]
"""(query [B, Hq, T, D], key and value [B, Hkv, T, D], packing, layer, shared) -> [B, T, Hq, D]"""


def choose(device: str, dtype: torch.dtype, head_dim: int, layer: AttentionLayer, *, shared: bool = False) -> Kernel:
    """The fastest kernel that computes exactly what the layer asks for; `shared`: with something before sequences."""
    flash = device == "cuda" and dtype in (torch.float16, torch.bfloat16) and head_dim <= 256
    plain = not layer.dropout and layer.softcap is None and layer.sinks is None
    if flash and plain:
        return varlen
    in_blocks = device == "cpu" and dtype == torch.bfloat16 and not shared
    if in_blocks and plain and layer.causal:
        return blockwise
    return per_sequence


def varlen(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: AttentionLayer, shared: Shared | None = None
) -> Tensor:
    """One flash-attention call over all sequences of the batch, on CUDA (torch.nn.attention.varlen)."""
    from torch.nn.attention.varlen import varlen_attn

    device, longest = query.device, max(packing.lengths)
    boundaries, seen, most = packing.on(device), packing.on(device), longest
    if shared or packing.prefix_of:
        lead = shared[0].shape[2] if shared else 0
        before = shared or (key[:, :, :0], value[:, :, :0])
        key, value = (_repeated(*both, packing) for both in zip(before, (key, value), strict=True))
        seen, most = packing.seen(device, lead), max(packing.seen_lengths(lead))
    q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (query, key, value))
    back = -1 if layer.window is None else layer.window - 1
    window = (back, 0 if layer.causal else back)  # counted from the last key, as causality is
    out = varlen_attn(
        q, k, v, boundaries, seen, longest, most,
        scale=layer.scaling, window_size=window, enable_gqa=query.shape[1] != key.shape[1],
    )  # fmt: skip
    return cast(Tensor, out).reshape(query.shape[0], query.shape[2], *q.shape[1:])


def _repeated(before: Tensor, own: Tensor, packing: Packing) -> Tensor:
    """Sequence after sequence, each with what its row and its trunk have before it: [1, H, tokens, D]."""
    flat = torch.cat([before, own], dim=2).transpose(0, 1).flatten(1, 2)
    return flat[None, :, packing.repeated(own.device, own.shape[2], before.shape[2])]


def blockwise(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: AttentionLayer, shared: Shared | None = None
) -> Tensor:
    """Block after block through all sequences of a row, on a CPU in bfloat16, where SDPA's backward is slow."""
    assert shared is None, "blocks are planned for sequences that see their own keys alone"
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    return blocks.attend(query, key, value, packing.blocks(query.shape[2], layer.window), scaling)


def per_sequence(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: AttentionLayer, shared: Shared | None = None
) -> Tensor:
    """One causal SDPA call for each sequence; padding is skipped."""
    batch, _, length, _ = query.shape
    rows: list[list[int]] = [[] for _ in range(batch)]
    for start, size in zip(packing.boundaries, packing.lengths, strict=False):
        rows[start // length].append(size)
    outputs, number, trunk = [], 0, (key, value)
    for row, sizes in enumerate(rows):
        parts = [t[row : row + 1].split_with_sizes(sizes, dim=2) for t in (query, key, value)]
        for q, k, v in zip(*parts, strict=True):
            if number in packing.prefix_of:
                k, v = (torch.cat([t, own], 2) for t, own in zip(trunk, (k, v), strict=True))
            else:
                trunk = k, v
            if number in packing.padding:
                outputs.append(q.new_zeros(*q.shape[:3], v.shape[-1]))
            else:
                if shared:
                    k, v = (torch.cat([t[row : row + 1], own], 2) for t, own in zip(shared, (k, v), strict=True))
                outputs.append(attend(q, k, v, layer))
            number += 1
    joined = torch.cat([output.transpose(1, 2) for output in outputs], dim=1)
    return joined.reshape(batch, length, *joined.shape[2:])


def attend(query: Tensor, key: Tensor, value: Tensor, layer: AttentionLayer) -> Tensor:
    mask = _mask(query, key, layer)
    if layer.softcap is None and layer.sinks is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=layer.dropout,
            is_causal=layer.causal and mask is None, scale=layer.scaling, enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
    return by_scores(query, key, value, mask, layer)


def _mask(query: Tensor, key: Tensor, layer: AttentionLayer) -> Tensor | None:
    """What each query sees, bool [queries, keys], the last of both being the same token; None for what SDPA knows."""
    new, seen = query.shape[2], key.shape[2]
    if (layer.window is None or seen <= layer.window) and (new == seen or not layer.causal):
        return None
    back = torch.arange(seen - new, seen, device=query.device)[:, None] - torch.arange(seen, device=query.device)
    visible = back >= 0 if layer.causal else torch.ones_like(back, dtype=torch.bool)
    return visible if layer.window is None else visible & (back.abs() < layer.window)


def by_scores(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, layer: AttentionLayer) -> Tensor:
    """Attention with all scores in memory, for what no SDPA kernel does.

    Scores pass `c · tanh(scores / c)` before the softmax (Gemma 2); a sink takes its share of the softmax and gives
    nothing (gpt-oss).
    """
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    scores = query @ key.transpose(2, 3) * scaling
    if layer.softcap is not None:
        scores = torch.tanh(scores / layer.softcap) * layer.softcap
    if mask is None and layer.causal:
        new, seen = scores.shape[-2:]
        mask = torch.ones(new, seen, dtype=torch.bool, device=scores.device).tril(seen - new)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    if layer.sinks is not None:
        sinks = layer.sinks.to(scores.dtype).view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, sinks], dim=-1)
    chances = torch.softmax(scores, dim=-1, dtype=torch.float32)[..., : key.shape[2]].to(value.dtype)
    return torch.dropout(chances, layer.dropout, train=layer.dropout > 0) @ value
