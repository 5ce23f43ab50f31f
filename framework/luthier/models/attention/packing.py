"""The boundaries of the sequences of a packed batch, their shared prefixes and virtual tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import cast

import torch
from torch import Tensor, nn

from luthier.models.attention.blocks import Block, plan


@dataclass(frozen=True, slots=True)
class AttentionLayer:
    """The parameters of one attention layer, beside its queries, keys and values."""

    scaling: float | None
    """The factor of the products of queries and keys; None is 1 / √D."""
    dropout: float
    """The probability with which attention weights are dropped in training."""
    window: int | None
    """How many tokens back a token sees; None is all."""
    softcap: float | None
    """The cap of attention logits, `softcap · tanh(x / softcap)`; None is none."""
    causal: bool
    """Whether a token sees only those before it."""
    sinks: Tensor | None = None
    """A logit for each query head, [Hq], of seeing nothing, which takes part in the softmax; None is none."""


Shared = tuple[Tensor, Tensor]
"""Keys and values [B, Hkv, n, D] that every sequence of a row attends to before its own."""

AttentionHook = Callable[[nn.Module, Tensor, Tensor, AttentionLayer], None]
"""`hook(module, query [B, Hq, T, D], key [B, Hkv, T, D], layer)`; its arguments carry gradients."""


class Packing:
    """Where the sequences of a batch end: plain integers, so that reading them never waits for a device.

    `boundaries` are cumulative over the flattened batch; `padding` holds the numbers of the sequences to skip, whose
    outputs are zero; `prefix_of` is that of the batch: which sequences go on from which, seeing its keys before their
    own. It travels through the network as one opaque object, on which no compiled code depends.

    Something may stand before every sequence at once (`behind`): the first `lead` tokens of each row, which
    `boundaries` do not count, or the keys and values that `before` holds for each layer, [layers, 2, Hkv, n, D].
    `on_attention` is called in every attention layer, with what it is about to attend with.
    """

    def __init__(
        self,
        boundaries: tuple[int, ...],
        padding: frozenset[int] = frozenset(),
        prefix_of: Mapping[int, int] | None = None,
    ) -> None:
        self.boundaries, self.padding, self.prefix_of = boundaries, padding, prefix_of or {}
        self.lead, self.before = 0, cast("Tensor | None", None)
        self.on_attention: AttentionHook | None = None
        self._tensors: dict[tuple[str, int, torch.device], Tensor] = {}
        self._repeated: dict[torch.device, Tensor] = {}
        self._blocks: dict[tuple[int, int | None], list[Block]] = {}

    def behind(self, *, lead: int = 0, before: Tensor | None = None) -> Packing:
        """The same packing behind something that every sequence of a row sees."""
        packing = Packing(self.boundaries, self.padding, self.prefix_of)
        packing.lead, packing.before, packing.on_attention = lead, before, self.on_attention
        return packing

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each sequence."""
        return [end - start for start, end in zip(self.boundaries, self.boundaries[1:], strict=False)]

    def blocks(self, length: int, window: int | None) -> list[Block]:
        """How to go through rows of `length` tokens on a CPU, planned once for all layers alike."""
        if (length, window) not in self._blocks:
            self._blocks[length, window] = plan(self.boundaries, self.padding, length, window, self.prefix_of)
        return self._blocks[length, window]

    def on(self, device: torch.device) -> Tensor:
        """The boundaries as int32 on a device, copied there once."""
        return self._copied(("own", 0, device), lambda: self.boundaries)

    def seen(self, device: torch.device, lead: int) -> Tensor:
        """The boundaries of what each sequence sees, behind `lead` shared tokens and its trunk."""
        return self._copied(("seen", lead, device), lambda: tuple(accumulate(self.seen_lengths(lead), initial=0)))

    def seen_lengths(self, lead: int) -> list[int]:
        """The number of keys that each sequence sees: `lead` shared tokens, its trunk and its own."""
        lengths = self.lengths
        trunks = (lengths[self.prefix_of[number]] if number in self.prefix_of else 0 for number in range(len(lengths)))
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
                if number in self.prefix_of:
                    parts.append(torch.arange(*spans[self.prefix_of[number]]) + (row + 1) * lead)
                parts.append(torch.arange(start, end) + (row + 1) * lead)
            self._repeated[device] = torch.cat(parts).to(device)
        return self._repeated[device]

    def _copied(self, key: tuple[str, int, torch.device], boundaries: Callable[[], tuple[int, ...]]) -> Tensor:
        if key not in self._tensors:
            host = torch.tensor(boundaries(), dtype=torch.int32)
            device = key[-1]
            self._tensors[key] = host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host
        return self._tensors[key]
