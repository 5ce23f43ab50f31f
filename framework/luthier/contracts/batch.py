"""Token sequences, the rows that an example becomes, and batches of packed rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WHOLE = -1
"""In `Batch.turns`: the row is of a whole conversation."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids, int32 [n], and loss weights, float32 [n]: that of predicting each token from those before it.

    A token of weight 0 is context only. The first token is never predicted and always has weight 0. `labels` are
    numbers of a method for its tokens, such as the class of each: a batch has them as `labels`, int64 [B, T], -1 in
    padding.
    """

    ids: NDArray[np.int32]
    """Token ids, int32 [n]."""
    weights: NDArray[np.float32]
    """The weight of predicting each token from those before it, float32 [n]."""
    labels: NDArray[np.int32] | None = None
    """A number for each token, int32 [n], -1 where it has none; None where the method has none."""

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.ids)

    def at(self, places: slice | NDArray[np.intp]) -> TokenSequence:
        """The tokens at these places, with their weights and labels."""
        labels = None if self.labels is None else self.labels[places]
        return TokenSequence(self.ids[places], self.weights[places], labels)


@dataclass(frozen=True, slots=True)
class Row:
    """One encoded example: token sequences that stay in one block, and the further numbers that its loss needs.

    Most methods use one sequence; a preference pair has two, chosen first. `shared` is the length of the shared prefix:
    the sequences begin with the same `shared` tokens, all of weight 0 (`row_with_shared_prefix` computes it). The
    shared prefix is stored and computed once, and `len(row)` counts its tokens once. A `prompt_only` row is a prompt
    for which the method generates the answers itself: no token of it is predicted.
    """

    sequences: tuple[TokenSequence, ...]
    """One for most methods, two for a preference pair."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Further numbers of the row by name, which arrive as `Batch.values`."""
    shared: int = 0
    prompt_only: bool = False
    read_only: bool = False
    """Whether its text is read and no token of it is predicted, as where the loss is of a label."""
    closing: int = 0
    """The tokens at its end that stay where a `read_only` row is truncated, such as a separator."""
    opening: int = 0
    """The tokens at its beginning that each window of a `read_only` row with `labels` begins with."""

    def __len__(self) -> int:
        """The number of tokens that the row takes up in a block: the shared prefix counts once."""
        return sum(len(sequence) for sequence in self.sequences) - self.shared * (len(self.sequences) - 1)


@dataclass(slots=True)
class Batch:
    """B blocks of T tokens: packed sequences one after another, padding last.

    input_ids: int64 [B, T]. positions: int64 [B, T], from 0 in each sequence. weights: float32 [B, T], the loss weight
    of each token, aligned with the token that is predicted. segments: int32 [B, T], 0 for padding, else 1, 2, … for
    the sequences of a block. boundaries: the cumulative sequence lengths over the flattened batch, 0 … B·T, where the
    padding of a block counts as a sequence; plain integers, so that reading them does not synchronise with the device.
    examples: the index of the example of each row. turns: where a row trains one turn of its conversation, the number
    of messages after that turn, else -1; empty where every row is of a whole conversation. values: `Row.values` by
    name, float32 [rows], in the same order.

    The shared prefix of a row is a sequence of its own, before the row's other sequences. `prefix_of` maps the number
    of a sequence among the boundaries to the number of the prefix that it continues; its positions continue those of
    the prefix. `sequence_groups` holds the numbers of each row's sequences, without prefixes and padding. `extras`
    holds further values per token, [B, T], which a method's preparation has added, and `labels` where sequences have
    some.
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
    turns: tuple[int, ...] = ()

    @property
    def sequence_numbers(self) -> tuple[int, ...]:
        """The numbers of all rows' sequences, in order: `sequence_groups` flattened."""
        return tuple(number for group in self.sequence_groups for number in group)

    @property
    def labels(self) -> Tensor:
        """The labels of tokens, int64 [B, T]; -1 where one has none, as in a batch without rows."""
        given = self.extras.get("labels")
        return torch.full_like(self.input_ids, -1) if given is None else given

    @property
    def tokens(self) -> int:
        """The number of tokens that are not padding; synchronises with the device."""
        return int((self.segments > 0).sum())

    def to(self, device: torch.device | str) -> Batch:
        """A copy with every tensor on the device; Lightning calls it."""
        asynchronous = torch.device(device).type == "cuda"  # elsewhere values may be read before they are copied
        return self._with(lambda tensor: tensor.to(device, non_blocking=asynchronous))

    def pin_memory(self) -> Batch:
        """A copy in page-locked memory, from which tensors are copied to a device asynchronously."""
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
