"""Attention over packed rows that never crosses from one sequence to the next, and never builds a mask to say so.

`register` makes "luthier_packed" known to transformers; a network built or switched to it (`attn_implementation`)
then runs causal attention for each sequence alone when `network_inputs` told it where sequences end, and is plain
SDPA otherwise, for instance while it generates with a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from luthier import attention_blocks
from luthier.errors import RecipeError
from luthier.parts import Batch

NAME = "luthier_packed"

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose tokens meet only in attention, over all of the past or over a window of it."""


Shared = tuple[Tensor, Tensor]
"""Keys and values [B, Hkv, n, D] that each sequence of a row sees before its own."""

Heard = Callable[[nn.Module, Tensor, Tensor, "Layer"], None]
"""`heard(module, query [B, Hq, T, D], key [B, Hkv, T, D], layer)`; what it sees may be differentiated."""


class Packing:
    """Where the sequences of a batch end: plain integers, so that reading them never waits for a device.

    `boundaries` are cumulative over the flattened batch; `padding` holds the numbers of the sequences to skip, whose
    outputs are zero; `branches` is that of the batch: which sequences go on from which, seeing its keys before their
    own. It travels through the network as one opaque object, on which no compiled code depends.

    Something may stand before every sequence at once (`behind`): the first `lead` tokens of each row, which
    `boundaries` do not count, or the keys and values that `before` holds for each layer, [layers, 2, Hkv, n, D].
    `heard` is called in every attention layer, with what it is about to attend with.
    """

    def __init__(
        self,
        boundaries: tuple[int, ...],
        padding: frozenset[int] = frozenset(),
        branches: Mapping[int, int] | None = None,
    ) -> None:
        self.boundaries, self.padding, self.branches = boundaries, padding, branches or {}
        self.lead, self.before = 0, cast("Tensor | None", None)
        self.heard: Heard | None = None
        self._tensors: dict[tuple[str, int, torch.device], Tensor] = {}
        self._repeated: dict[torch.device, Tensor] = {}
        self._blocks: dict[tuple[int, int | None], list[attention_blocks.Block]] = {}

    def behind(self, *, lead: int = 0, before: Tensor | None = None) -> Packing:
        """The same packing behind something that every sequence of a row sees."""
        packing = Packing(self.boundaries, self.padding, self.branches)
        packing.lead, packing.before, packing.heard = lead, before, self.heard
        return packing

    @property
    def lengths(self) -> list[int]:
        return [end - start for start, end in zip(self.boundaries, self.boundaries[1:], strict=False)]

    def blocks(self, length: int, window: int | None) -> list[attention_blocks.Block]:
        """How to go through rows of `length` tokens on a CPU, planned once for all layers alike."""
        if (length, window) not in self._blocks:
            self._blocks[length, window] = attention_blocks.plan(
                self.boundaries, self.padding, length, window, self.branches
            )
        return self._blocks[length, window]

    def on(self, device: torch.device) -> Tensor:
        """The boundaries as int32 on a device, copied there once."""
        return self._copied(("own", 0, device), lambda: self.boundaries)

    def seen(self, device: torch.device, lead: int) -> Tensor:
        """The boundaries of what each sequence sees, behind `lead` shared tokens and its trunk."""
        return self._copied(("seen", lead, device), lambda: tuple(accumulate(self.seen_lengths(lead), initial=0)))

    def seen_lengths(self, lead: int) -> list[int]:
        lengths = self.lengths
        trunks = (lengths[self.branches[number]] if number in self.branches else 0 for number in range(len(lengths)))
        return [lead + trunk + own for trunk, own in zip(trunks, lengths, strict=True)]

    def repeated(self, device: torch.device, length: int, lead: int) -> Tensor:
        """Where in rows of `lead` shared and `length` own tokens each sequence finds what it sees, end to end."""
        if device not in self._repeated:
            parts = []
            spans = list(pairwise(self.boundaries))
            for number, (start, end) in enumerate(spans):
                row = start // length
                shared = row * (lead + length)
                parts.append(torch.arange(shared, shared + lead))
                if number in self.branches:
                    parts.append(torch.arange(*spans[self.branches[number]]) + (row + 1) * lead)
                parts.append(torch.arange(start, end) + (row + 1) * lead)
            self._repeated[device] = torch.cat(parts).to(device)
        return self._repeated[device]

    def _copied(self, key: tuple[str, int, torch.device], boundaries: Callable[[], tuple[int, ...]]) -> Tensor:
        if key not in self._tensors:
            host = torch.tensor(boundaries(), dtype=torch.int32)
            device = key[-1]
            self._tensors[key] = host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host
        return self._tensors[key]


def network_inputs(batch: Batch, config: Any) -> dict[str, Any]:
    """What to call a network with, so that no sequence of the batch sees another; `config` is the network's.

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
    if text._attn_implementation == NAME:
        inputs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
        inputs["packing"] = Packing(batch.boundaries, _padding(batch), batch.branches)
    elif batch.branches:
        inputs["attention_mask"] = _tree_mask(batch, text)
    return inputs


def _tree_mask(batch: Batch, config: Any) -> Tensor:
    """What each token sees, [B, 1, T, T]: its sequence and its trunk up to itself; for implementations of transformers.

    bool, and what is added to the scores for eager attention.
    """
    trunks = torch.tensor([batch.boundaries[batch.branches.get(n, n)] for n in range(len(batch.boundaries) - 1)])
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


@dataclass(frozen=True, slots=True)
class Layer:
    """What one attention layer asks for, beside its queries, keys and values."""

    scaling: float | None
    dropout: float
    window: int | None
    softcap: float | None
    causal: bool


Kernel = Callable[[Tensor, Tensor, Tensor, Packing, Layer, Shared | None], Tensor]
"""(query [B, Hq, T, D], key and value [B, Hkv, T, D], packing, layer, shared) -> [B, T, Hq, D]"""


def choose(device: str, dtype: torch.dtype, head_dim: int, layer: Layer, *, shared: bool = False) -> Kernel:
    """The fastest kernel that computes exactly what the layer asks for; `shared`: with something before sequences."""
    flash = device == "cuda" and dtype in (torch.float16, torch.bfloat16) and head_dim <= 256
    if flash and not layer.dropout and layer.softcap is None and layer.causal:
        return varlen
    blocks = device == "cpu" and dtype == torch.bfloat16 and not shared
    if blocks and not layer.dropout and layer.softcap is None and layer.causal:
        return blockwise
    return per_sequence


def varlen(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: Layer, shared: Shared | None = None
) -> Tensor:
    """One flash-attention call over all sequences of the batch, on CUDA (torch.nn.attention.varlen)."""
    from torch.nn.attention.varlen import varlen_attn

    device, longest = query.device, max(packing.lengths)
    boundaries, seen, most = packing.on(device), packing.on(device), longest
    if shared or packing.branches:
        lead = shared[0].shape[2] if shared else 0
        before = shared or (key[:, :, :0], value[:, :, :0])
        key, value = (_repeated(*both, packing) for both in zip(before, (key, value), strict=True))
        seen, most = packing.seen(device, lead), max(packing.seen_lengths(lead))
    q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (query, key, value))
    window = (-1 if layer.window is None else layer.window - 1, 0)  # counted from the last key, as causality is
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
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: Layer, shared: Shared | None = None
) -> Tensor:
    """Block after block through all sequences of a row, on a CPU in bfloat16, where SDPA's backward is slow."""
    assert shared is None, "blocks are planned for sequences that see their own keys alone"
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    return attention_blocks.attend(query, key, value, packing.blocks(query.shape[2], layer.window), scaling)


def per_sequence(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: Layer, shared: Shared | None = None
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
            if number in packing.branches:
                k, v = (torch.cat([t, own], 2) for t, own in zip(trunk, (k, v), strict=True))
            else:
                trunk = k, v
            if number in packing.padding:
                outputs.append(q.new_zeros(*q.shape[:3], v.shape[-1]))
            else:
                if shared:
                    k, v = (torch.cat([t[row : row + 1], own], 2) for t, own in zip(shared, (k, v), strict=True))
                outputs.append(_attend(q, k, v, layer))
            number += 1
    joined = torch.cat([output.transpose(1, 2) for output in outputs], dim=1)
    return joined.reshape(batch, length, *joined.shape[2:])


def _attend(query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
    mask = _mask(query, key, layer)
    if layer.softcap is None:
        return torch.nn.functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=layer.dropout,
            is_causal=layer.causal and mask is None, scale=layer.scaling, enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
    return _softcapped(query, key, value, mask, layer)


def _mask(query: Tensor, key: Tensor, layer: Layer) -> Tensor | None:
    """What each query sees, bool [queries, keys], the last of both being the same token; None for what SDPA knows."""
    new, seen = query.shape[2], key.shape[2]
    if (layer.window is None or seen <= layer.window) and (new == seen or not layer.causal):
        return None
    back = torch.arange(seen - new, seen, device=query.device)[:, None] - torch.arange(seen, device=query.device)
    visible = back >= 0 if layer.causal else torch.ones_like(back, dtype=torch.bool)
    return visible if layer.window is None else visible & (back.abs() < layer.window)


def _softcapped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, layer: Layer) -> Tensor:
    """Scores pass `c · tanh(scores / c)` before the softmax (Gemma 2), which no SDPA kernel does."""
    assert layer.softcap is not None
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    scores = torch.tanh(query @ key.transpose(2, 3) * (scaling / layer.softcap)) * layer.softcap
    if mask is None and layer.causal:
        new, seen = scores.shape[-2:]
        mask = torch.ones(new, seen, dtype=torch.bool, device=scores.device).tril(seen - new)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    chances = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return torch.dropout(chances, layer.dropout, train=layer.dropout > 0) @ value


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
    **unused: Any,
) -> tuple[Tensor, None]:
    """The function behind "luthier_packed"; gives [B, T, Hq, D]. Stays outside whatever is compiled around it."""
    causal = bool(getattr(module, "is_causal", True)) if is_causal is None else is_causal
    layer = Layer(scaling, dropout, sliding_window, softcap, causal)
    if packing is None:
        return _plain(module, query, key, value, attention_mask, layer, unused), None
    for name in ("s_aux", "position_bias"):
        if unused.get(name) is not None:
            raise RecipeError(f"{type(module).__name__} needs {name} in its attention, which {NAME} does not compute.")
    lead = packing.lead
    if key.shape[2] != query.shape[2] or packing.boundaries[-1] != query.shape[0] * (query.shape[2] - lead):
        raise RecipeError(
            "Tokens were put before packed sequences: virtual tokens or a cache would serve the first one only.",
            where="batch.packing",
            hint="Set batch.packing=false.",
        )
    if packing.heard is not None:
        packing.heard(module, query, key, layer)
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        query, key, value = (t.to(torch.get_autocast_dtype(kind)) for t in (query, key, value))
    if not lead:
        return _by_kernel(query, key, value, packing, layer, _given(packing, module, key)), None
    (first, query), (before, key), (meant, value) = (
        t.split_with_sizes([lead, t.shape[2] - lead], dim=2) for t in (query, key, value)
    )
    behind = _by_kernel(query, key, value, packing, layer, (before, meant))
    return torch.cat([_attend(first, before, meant, layer).transpose(1, 2), behind], dim=1), None


def _by_kernel(
    query: Tensor, key: Tensor, value: Tensor, packing: Packing, layer: Layer, shared: Shared | None
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
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, layer: Layer, rest: Any
) -> Tensor:
    """What transformers' own SDPA would do, and soft caps besides."""
    if mask is not None and mask.shape == (1, 1, 1, 1) and key.shape[2] > 1:
        raise RecipeError(
            f"{type(module).__name__} was not told where the sequences of its batch end.",
            hint="Choose another attention implementation for this architecture, such as eager.",
        )
    if layer.softcap is not None:
        return _softcapped(query, key, value, mask, layer).transpose(1, 2).contiguous()
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    out, _ = sdpa_attention_forward(
        module, query, key, value, mask, dropout=layer.dropout, scaling=layer.scaling, is_causal=layer.causal, **rest
    )
    return out


def register() -> None:
    """Make "luthier_packed" known to transformers; doing so twice changes nothing."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
