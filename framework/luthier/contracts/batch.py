"""Token sequences, the rows that an example becomes, and batches of packed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids (int32, [n]) and the weight (float32, [n]) of predicting each of them from those before it.

    Weight 0 is context only; the first token has nothing before it and always weighs 0.
    """

    ids: NDArray[np.int32]
    """Token ids, int32 [n]."""
    weights: NDArray[np.float32]
    """The weight of predicting each token from those before it, float32 [n]."""

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded example: sequences that stay together in one block, and numbers that the loss needs beside them.

    Most methods have one sequence; a preference pair has two, chosen first. The first `shared` tokens, of weight 0,
    are the same in all of them (`row_with_shared_prefix` finds them) and are laid down and
    computed once; the length counts them once. An `open` row is a prompt that the method answers itself: nothing in
    it is predicted.
    """

    sequences: tuple[TokenSequence, ...]
    """One for most methods, two for a preference pair."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Further numbers of the row by name, which arrive as `Batch.values`."""
    shared: int = 0
    open: bool = False

    def __len__(self) -> int:
        """The number of tokens that the row takes up in a block: the shared prefix counts once."""
        return sum(len(sequence) for sequence in self.sequences) - self.shared * (len(self.sequences) - 1)


@dataclass(slots=True)
class Batch:
    """Blocks of tokens, B rows of T: sequences packed one after another, padding last.

    input_ids int64 [B, T]; positions int64 [B, T], restarting with each sequence; weights float32 [B, T], aligned
    with the token that is predicted; segments int32 [B, T], 0 for padding, else 1, 2, … for the sequences of a block.
    `boundaries` are the cumulative sequence lengths over the flattened batch (0 … B·T, padding a sequence of its
    own): plain integers, so that reading them never waits for a device. `examples` holds the index of each row of
    data, `values` what `Row.values` held, float32 [rows], in the same order.

    What the sequences of a row share is a sequence of its own, laid down before them: a trunk. `prefix_of` says of
    each sequence that goes on from a trunk, by its number among the boundaries, which one that is; its positions go
    on there. `sequence_groups` are the numbers of each row's sequences, without trunks and padding. `extras` holds
    further numbers of each token, [B, T], where a method's preparation put some there.
    """

    input_ids: Tensor
    weights: Tensor
    positions: Tensor
    segments: Tensor
    boundaries: tuple[int, ...]
    examples: tuple[int, ...]
    values: dict[str, Tensor] = field(default_factory=dict)
    prefix_of: Mapping[int, int] = field(default_factory=dict)
    sequence_groups: tuple[tuple[int, ...], ...] = ()
    extras: dict[str, Tensor] = field(default_factory=dict)

    @property
    def ends(self) -> tuple[int, ...]:
        """The numbers of the sequences of all rows, in order."""
        return tuple(number for row in self.sequence_groups for number in row)

    @property
    def tokens(self) -> int:
        """Tokens that are not padding; waits for the device."""
        return int((self.segments > 0).sum())

    def to(self, device: torch.device | str) -> Batch:
        """A copy with every tensor on the device; Lightning calls it."""
        ahead = torch.device(device).type == "cuda"  # elsewhere the values may be read before they have arrived
        return self._with(lambda tensor: tensor.to(device, non_blocking=ahead))

    def pin_memory(self) -> Batch:
        """A copy whose tensors can travel to a device while the host goes on."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            input_ids=change(self.input_ids),
            weights=change(self.weights),
            positions=change(self.positions),
            segments=change(self.segments),
            values={name: change(value) for name, value in self.values.items()},
            extras={name: change(value) for name, value in self.extras.items()},
        )


Device = torch.device
