"""Packed attention: causal attention that never crosses from one sequence to the next, without a mask.

`register` makes "luthier_packed" known to transformers; a network built or switched to it (`attn_implementation`)
then runs causal attention for each sequence alone when `forward_passes` told it where sequences end, and is plain
SDPA otherwise, for instance while it generates with a cache. `layout_of` says how a network is called with sequences
that share a row: what agrees with each sequence alone, which is proved.
"""

from __future__ import annotations

from luthier.models.attention.forward import ForwardPass, as_the_batch, forward_passes
from luthier.models.attention.kernels import blockwise, choose, per_sequence, varlen
from luthier.models.attention.layouts import KNOWN_LAYERS, PACKED_ATTENTION, WINDOWS, Layout, Packed
from luthier.models.attention.packed import packed_attention, register
from luthier.models.attention.packing import AttentionHook, AttentionLayer, Packing, Shared
from luthier.models.attention.proved import architecture_layout, attention_to_build, layout_of

__all__ = [
    "KNOWN_LAYERS",
    "PACKED_ATTENTION",
    "WINDOWS",
    "AttentionHook",
    "AttentionLayer",
    "ForwardPass",
    "Layout",
    "Packed",
    "Packing",
    "Shared",
    "architecture_layout",
    "as_the_batch",
    "attention_to_build",
    "blockwise",
    "choose",
    "forward_passes",
    "layout_of",
    "packed_attention",
    "per_sequence",
    "register",
    "varlen",
]  # fmt: skip
