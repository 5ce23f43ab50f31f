"""Attention over packed rows that never crosses from one sequence to the next, and never builds a mask to say so.

`register` makes "luthier_packed" known to transformers; a network built or switched to it (`attn_implementation`)
then runs causal attention for each sequence alone when `network_inputs` told it where sequences end, and is plain
SDPA otherwise, for instance while it generates with a cache.
"""

from __future__ import annotations

from luthier.models.attention.inputs import KNOWN_LAYERS, PACKED_ATTENTION, network_inputs
from luthier.models.attention.kernels import blockwise, choose, per_sequence, varlen
from luthier.models.attention.packed import packed_attention, register
from luthier.models.attention.packing import AttentionLayer, Heard, Packing, Shared

__all__ = [
    "KNOWN_LAYERS",
    "PACKED_ATTENTION",
    "AttentionLayer",
    "Heard",
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
