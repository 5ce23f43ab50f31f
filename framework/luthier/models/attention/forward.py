"""The calls of a network for a packed batch, and what they give, put together again as the batch is laid out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from luthier.contracts.batch import Batch
from luthier.models.attention.layouts import PACKED_ATTENTION, Layout, Packed
from luthier.models.attention.packing import Packing

_OF_TOKENS = ("token_type_ids",)
"""The extras of a batch that the network is called with, beside its tokens."""


@dataclass(frozen=True, slots=True)
class ForwardPass:
    """The arguments of one call of a network, and where its tokens stand in the batch."""

    inputs: dict[str, Any]
    """`input_ids` [R, L] and whatever keeps the sequences apart."""
    tokens: Tensor
    """bool [R, L], False for what the call only pads with."""
    own: Tensor | None = None
    """Places of the batch's tokens in the flattened call, int64 [n]; None where the call is laid out as the batch."""
    place: Tensor | None = None
    """The places of the same tokens in the flattened batch, int64 [n]."""


def forward_passes(batch: Batch, layout: Layout) -> list[ForwardPass]:
    """The calls with which no sequence of the batch influences another; one, unless they are computed row by row."""
    if layout.border is not None:
        layout = layout.for_texts_of(max(sum(map(len, parts)) for parts in _sequences(batch)))
    if not layout.packs or (batch.prefix_of and not layout.shared_prefixes):
        return _rows(batch, layout)
    inputs: dict[str, Any] = {
        "input_ids": batch.input_ids,
        "position_ids": batch.positions + layout.first_position,
        "attention_mask": None,
        **_without_cache(layout),
        **{name: batch.extras[name] for name in _OF_TOKENS if name in batch.extras},
    }
    if layout.attention == PACKED_ATTENTION:
        # A single True of four dimensions, which transformers hands on untouched: no mask is built, and a network
        # that loses the packing on the way to its attention is found out there.
        inputs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device)
        inputs["packing"] = Packing(batch.boundaries, _padding(batch), batch.prefix_of)
    elif batch.prefix_of:
        inputs["attention_mask"] = tree_mask(batch, additive=layout.attention == "eager")
    if layout.packed is Packed.BOUNDARIES:
        inputs |= _boundaries(batch)
    return [ForwardPass(inputs, batch.segments > 0)]


def as_the_batch(batch: Batch, passes: Sequence[ForwardPass], outputs: Sequence[Tensor]) -> Tensor:
    """Outputs [R, L, …] of the calls, one value for each token, as the batch is laid out, [B, T, …]; else zeros."""
    if passes[0].own is None:
        return outputs[0]
    shape = (*batch.input_ids.shape, *outputs[0].shape[2:])
    own = [output.flatten(0, 1)[each.own] for each, output in zip(passes, outputs, strict=True)]
    place = torch.cat([each.place for each in passes if each.place is not None])
    empty = own[0].new_zeros(batch.input_ids.numel(), *outputs[0].shape[2:])
    return empty.index_copy(0, place, torch.cat(own)).view(shape)


def _without_cache(layout: Layout) -> dict[str, bool]:
    """Encoders have no cache, and some take no word about one."""
    return {} if layout.bidirectional else {"use_cache": False}


def _rows(batch: Batch, layout: Layout) -> list[ForwardPass]:
    """Each sequence with its prefix in a row; rows of similar length share a call, so that at most half is padding."""
    device, one_length, masked = batch.input_ids.device, layout.packed is Packed.LENGTHS, layout.packed is Packed.MASKED
    if not batch.prefix_of and _one_each(batch) and not one_length:
        tokens = batch.segments > 0
        inputs: dict[str, Any] = {"attention_mask": _mask(tokens)} if masked else {}
        inputs |= {name: batch.extras[name] for name in _OF_TOKENS if name in batch.extras}
        return [ForwardPass({"input_ids": batch.input_ids, **inputs, **_without_cache(layout)}, tokens)]
    flat, passes = batch.input_ids.flatten(), []
    further = {name: batch.extras[name].flatten() for name in _OF_TOKENS if name in batch.extras}
    for group in _by_length(_sequences(batch), 1.0 if one_length else 0.5):
        longest = sum(map(len, group[0]))
        index = torch.zeros(len(group), longest, dtype=torch.int64)
        tokens = torch.zeros(len(group), longest, dtype=torch.bool)
        own, place = [], []
        for row, parts in enumerate(group):
            taken = torch.cat([torch.arange(part.start, part.stop) for part in parts])
            index[row, : len(taken)], tokens[row, : len(taken)] = taken, True
            first = len(taken) - len(parts[-1])
            own.append(torch.arange(row * longest + first, row * longest + len(taken)))
            place.append(taken[first:])
        inputs = {"input_ids": flat[index.to(device)], **_without_cache(layout)}
        inputs |= {name: values[index.to(device)] for name, values in further.items()}
        if masked:
            inputs["attention_mask"] = _mask(tokens).to(device)
        passes.append(ForwardPass(inputs, tokens.to(device), torch.cat(own).to(device), torch.cat(place).to(device)))
    return passes


def _mask(tokens: Tensor) -> Tensor:
    """int64 [R, L], 1 for each token; a row of padding alone shows its first place, as a softmax needs one."""
    mask = tokens.long()
    mask[:, 0] = 1
    return mask


def _one_each(batch: Batch) -> bool:
    """Whether each block begins with its only sequence, which padding may follow."""
    width = batch.input_ids.shape[1]
    starts = [batch.boundaries[number] for number in _numbers(batch)]
    return all(start % width == 0 for start in starts) and len(set(starts)) == len(starts)


def _sequences(batch: Batch) -> Iterator[tuple[range, ...]]:
    """The places of each sequence in the flattened batch, behind those of its prefix; prefixes by themselves, too."""
    spans = [range(start, stop) for start, stop in zip(batch.boundaries, batch.boundaries[1:], strict=False)]
    for number in _numbers(batch):
        prefix = batch.prefix_of.get(number)
        yield (spans[number],) if prefix is None else (spans[prefix], spans[number])


def _numbers(batch: Batch) -> list[int]:
    """The numbers of all sequences and prefixes that are not padding; of all, where a batch does not say."""
    if not batch.sequence_groups:
        return list(range(len(batch.boundaries) - 1))
    return sorted({*batch.sequence_numbers, *batch.prefix_of.values()})


def _by_length(sequences: Iterator[tuple[range, ...]], least: float) -> Iterator[list[tuple[range, ...]]]:
    """The longest first, as long as the shortest of a group has at least this share of the longest's tokens."""
    group: list[tuple[range, ...]] = []
    for parts in sorted(sequences, key=lambda parts: -sum(map(len, parts))):
        if group and sum(map(len, parts)) < least * sum(map(len, group[0])):
            yield group
            group = []
        group.append(parts)
    if group:
        yield group


def _boundaries(batch: Batch) -> dict[str, Any]:
    """What transformers' layers with a state are told of sequences, as its flash attention is."""
    ends = torch.tensor(batch.boundaries, dtype=torch.int32, device=batch.input_ids.device)
    longest = max(b - a for a, b in zip(batch.boundaries, batch.boundaries[1:], strict=False))
    numbers = torch.arange(len(ends) - 1, dtype=torch.int32, device=ends.device)
    lengths = ends.diff().to(torch.int64)
    return {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": longest,
        "max_length_k": longest,
        "seq_idx": numbers.repeat_interleave(lengths).view(batch.input_ids.shape),
    }


def tree_mask(batch: Batch, *, additive: bool) -> Tensor:
    """What each token sees, [B, 1, T, T]: its sequence and its trunk up to itself; for implementations of transformers.

    bool, or what is added to the scores.
    """
    trunks = torch.tensor([batch.boundaries[batch.prefix_of.get(n, n)] for n in range(len(batch.boundaries) - 1)])
    first = trunks.repeat_interleave(torch.tensor(batch.boundaries).diff()).to(batch.segments.device)
    trunk = batch.segments.flatten()[first].view_as(batch.segments)
    own = batch.segments[:, None, :]
    mask = ((own == batch.segments[:, :, None]) | (own == trunk[:, :, None])).tril()[:, None]
    if not additive:
        return mask
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, torch.finfo(torch.float32).min)


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
