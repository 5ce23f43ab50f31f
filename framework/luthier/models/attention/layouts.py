"""How the sequences of a packed batch are laid out in the calls of a network, so that none sees another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PACKED_ATTENTION = "luthier_packed"
"""The name of packed attention among transformers' attention implementations."""

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose tokens meet only in attention, over all of the past or over a window of it."""


class Packed(StrEnum):
    """The ways in which a network can be called with packed sequences."""

    KERNELS = "packed"
    """luthier's attention is told where sequences end; nothing of size tokens × tokens is held."""
    POSITIONS = "packed by positions"
    """transformers makes its masks from positions that begin at 0 in each sequence."""
    BOUNDARIES = "packed by boundaries"
    """As KERNELS or POSITIONS, and layers that carry a state are told where sequences end (`cu_seq_lens_q`)."""
    ROWS = "row by row"
    """Each sequence is a row of its own, padded at its end: right for whatever looks back only."""
    LENGTHS = "one length at a time"
    """Each sequence is a row of its own, beside others of exactly its length: nothing is padded."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The way in which a network computes packed sequences exactly as it computes each alone."""

    attention: str
    """The attention implementation under which it does."""
    packed: Packed
    shared_prefixes: bool = False
    """Whether a prefix that several sequences share is computed once; else it is repeated before each, as a row."""
    masks: bool = False
    """Whether what a token sees can be said by a mask [B, 1, T, T], as far as no window is left."""
    reason: str = ""
    """What differs under the fastest one that there is; empty where it is that."""

    @property
    def packs(self) -> bool:
        """Whether sequences that share a row are computed in one call."""
        return self.packed not in (Packed.ROWS, Packed.LENGTHS)
