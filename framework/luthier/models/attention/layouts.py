"""How the sequences of a packed batch are laid out in the calls of a network, so that none sees another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from luthier.errors import RecipeError

PACKED_ATTENTION = "luthier_packed"
"""The name of packed attention among transformers' attention implementations."""

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})
"""Kinds of layers whose tokens meet only in attention, over all of the past or over a window of it."""

WINDOWS = (
    "sliding_window", "sliding_window_size", "attention_chunk_size", "attention_window_size", "window_size",
    "local_attention", "index_topk",
)  # fmt: skip
"""Settings of architectures beyond whose length a token does not see all of the past."""


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
    MASKED = "row by row with a mask"
    """Each sequence is a row of its own, padded at its end, and a mask hides the padding: for encoders."""
    LENGTHS = "one length at a time"
    """Each sequence is a row of its own, beside others of exactly its length: nothing is padded."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The way in which a network computes packed sequences exactly as it computes each alone."""

    attention: str
    """The attention implementation under which it does."""
    packed: Packed
    """The calls that are made for a packed batch."""
    shared_prefixes: bool = False
    """Whether a prefix that several sequences share is computed once; else it is repeated before each, as a row."""
    masks: bool = False
    """Whether what a token sees can be said by a mask [B, 1, T, T], as far as no window is left."""
    border: int | None = None
    """The tokens of the longest text for which this holds; None: for every length."""
    takes_longer: bool = True
    """Whether longer texts are computed one length at a time; else they are refused, as they depend on others."""
    reason: str = ""
    """What differs under the fastest one that there is; empty where it is that."""
    bidirectional: bool = False
    """Whether each token sees those behind it, as in an encoder."""
    first_position: int = 0
    """The number of the first position of a packed sequence; RoBERTa and its kin count from that of padding."""

    @property
    def packs(self) -> bool:
        """Whether sequences that share a row are computed in one call."""
        return self.packed not in (Packed.ROWS, Packed.MASKED, Packed.LENGTHS)

    def for_texts_of(self, longest: int) -> Layout:
        """The layout of a batch whose longest text has so many tokens."""
        if self.border is None or longest <= self.border:
            return self
        if not self.takes_longer:
            raise RecipeError(
                f"A text of {longest} tokens changes all positions of this model, which are others beyond "
                f"{self.border} tokens, and it was not found to compute such a text after another one as by itself.",
                where="batch.length",
                hint=f"Set batch.length={self.border} or less, and score and prompt with texts as short.",
            )
        return replace(
            self,
            packed=Packed.LENGTHS,
            shared_prefixes=False,
            masks=False,
            border=None,
            reason=f"texts of over {self.border} tokens are read otherwise",
        )
