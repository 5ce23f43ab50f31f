"""Packed attention: causal attention that never crosses from one sequence to the next, without a mask.

`register` makes "luthier_packed" known to transformers; a network built or switched to it (`attn_implementation`)
then runs causal attention for each sequence alone when `network_inputs` told it where sequences end, and is plain
SDPA otherwise, for instance while it generates with a cache.
"""

from __future__ import annotations

from luthier.models.attention.inputs import KNOWN_LAYERS, PACKED_ATTENTION, network_inputs
from luthier.models.attention.kernels import blockwise, choose, per_sequence, varlen
from luthier.models.attention.packed import packed_attention, register
from luthier.models.attention.packing import AttentionHook, AttentionLayer, Packing, Shared

__all__ = [
    "KNOWN_LAYERS",
    "PACKED_ATTENTION",
    "AttentionHook",
    "AttentionLayer",
    "Packing",
    "Shared",
    "blockwise",
    "choose",
    "network_inputs",
    "packed_attention",
    "per_sequence",
    "register",
    "varlen",
]  # fmt: skip
