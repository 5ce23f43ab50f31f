"""Causal attention over packed rows on a CPU, block by block, with a backward pass made of matrix products.

torch's own flash kernel spends a fifth of a bf16 training step in its backward here; a few batched products over
blocks of queries do the same work in about half the time. Scores are made and soft-maxed in float32; probabilities are
made again in the backward from the log-sum-exp, so nothing of size queries × keys is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 64
"""Queries of one block: their scores fit into the processor's cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Queries start … end of one row of the batch, which look at keys first … end, and before these at a trunk's.

    `mask` [queries, n] is added to the scores of the last n keys; the keys before those are all seen.
    """

    row: int
    start: int
    end: int
    first: int
    mask: Tensor
    trunk: tuple[int, int] | None = None

    def seen(self, tensor: Tensor) -> Tensor:
        """Of keys or values [G, T, D] those that the queries look at, [G, n, D]."""
        own = tensor[:, self.first : self.end]
        return own if self.trunk is None else torch.cat([tensor[:, slice(*self.trunk)], own], 1)

    def add(self, total: Tensor, gradient: Tensor) -> None:
        """Add the gradient of what was `seen` to that of all keys or values."""
        own = self.end - self.first
        total[:, self.first : self.end] += gradient[:, -own:]
        if self.trunk is not None:
            total[:, slice(*self.trunk)] += gradient[:, :-own]


def plan(
    boundaries: Sequence[int],
    padding: frozenset[int],
    length: int,
    window: int | None,
    prefix_of: Mapping[int, int] | None = None,
) -> list[Block]:
    """Cut packed rows of `length` tokens into blocks: long sequences into several, short neighbours into one.

    `prefix_of` says of each sequence that goes on from a trunk which one that is; a short tree stays whole.
    """
    blocks: list[Block] = []
    row = _Row(boundaries, length, window, prefix_of or {})
    waiting: list[int] = []  # the numbers of short neighbours
    for tree in _trees(len(boundaries) - 1, row.prefix_of):
        start, end = boundaries[tree[0]], boundaries[tree[-1] + 1]
        beside = waiting and waiting[-1] + 1 == tree[0] and start % length and end - boundaries[waiting[0]] <= ROWS
        if waiting and not (beside and tree[0] not in padding):
            blocks.append(row.together(waiting))
            waiting = []
        if tree[0] in padding:
            continue
        if end - start > ROWS:
            blocks.extend(block for number in tree for block in row.apart(number))
        else:
            waiting += tree
    return [*blocks, row.together(waiting)] if waiting else blocks


def _trees(count: int, prefix_of: Mapping[int, int]) -> Iterator[list[int]]:
    """The numbers of all sequences in order, a shared prefix together with those that continue it."""
    tree: list[int] = []
    for number in range(count):
        if tree and prefix_of.get(number) != tree[0]:
            yield tree
            tree = []
        tree.append(number)
    if tree:
        yield tree


@dataclass(frozen=True, slots=True)
class _Row:
    """Packed sequences on their way to blocks."""

    boundaries: Sequence[int]
    length: int
    window: int | None
    prefix_of: Mapping[int, int]

    def together(self, numbers: Sequence[int]) -> Block:
        """One block of short neighbours, in which each sees itself and its trunk alone."""
        sizes = torch.tensor([self._size(number) for number in numbers])
        owner = torch.tensor(numbers).repeat_interleave(sizes)
        trunk = torch.tensor([self.prefix_of.get(number, number) for number in numbers]).repeat_interleave(sizes)
        begin = [self._size(self.prefix_of[number]) if number in self.prefix_of else 0 for number in numbers]
        place = torch.cat([torch.arange(size) + b for size, b in zip(sizes.tolist(), begin, strict=True)])
        back = place[:, None] - place
        visible = ((owner[:, None] == owner) | (trunk[:, None] == owner)) & (back >= 0)
        if self.window is not None:
            visible &= back < self.window
        row, start = divmod(self.boundaries[numbers[0]], self.length)
        mask = torch.zeros(visible.shape).masked_fill_(~visible, -torch.inf)
        return Block(row, start, start + len(owner), start, mask)

    def apart(self, number: int) -> Iterator[Block]:
        """The blocks of one long sequence, or of one that is part of a large tree."""
        row, first = divmod(self.boundaries[number], self.length)
        for at in range(first, first + self._size(number), ROWS):
            stop = min(at + ROWS, first + self._size(number))
            seen = first if self.window is None else max(first, at - self.window + 1)
            trunk = self._in_reach(number, at - first)
            shared = trunk[1] - trunk[0] if trunk else 0
            keys = stop - at if self.window is None else shared + stop - seen
            yield Block(row, at, stop, seen, _causal(stop - at, keys, self.window), trunk)

    def _in_reach(self, number: int, inside: int) -> tuple[int, int] | None:
        """From … to of what the token at place `inside` sees of its trunk."""
        if number not in self.prefix_of:
            return None
        begin, size = self.boundaries[self.prefix_of[number]] % self.length, self._size(self.prefix_of[number])
        reach = size if self.window is None else min(size, max(0, self.window - 1 - inside))
        return (begin + size - reach, begin + size) if reach else None

    def _size(self, number: int) -> int:
        return self.boundaries[number + 1] - self.boundaries[number]


def _causal(queries: int, keys: int, window: int | None) -> Tensor:
    ones = torch.ones(queries, keys, dtype=torch.bool)
    hidden = ones.triu(keys - queries + 1)
    if window is not None:
        hidden |= ones.tril(keys - queries - window)
    return torch.zeros(queries, keys).masked_fill_(hidden, -torch.inf)


def attend(query: Tensor, key: Tensor, value: Tensor, blocks: list[Block], scaling: float) -> Tensor:
    """query [B, Hq, T, D], key and value [B, Hkv, T, D] to [B, T, Hq, D]; rows outside all blocks give zeros."""
    out: Tensor = _Attention.apply(query, key, value, blocks, scaling)  # type: ignore[no-untyped-call]
    return out


class _Attention(torch.autograd.Function):
    """Heads that share keys are stacked: G groups of n heads make matrices [G, n · queries, …]."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, blocks: list[Block], scaling: float) -> Tensor:
        batch, heads, length, _ = query.shape
        groups, width = value.shape[1], value.shape[-1]
        out = query.new_zeros(batch, length, heads, width)
        normalizers = torch.zeros(batch, heads, length, dtype=_wide(query))
        by_group = out.view(batch, length, groups, heads // groups, width).permute(0, 2, 3, 1, 4)
        for row, some in _by_row(blocks):
            keys, values = key[row].to(_wide(key), memory_format=torch.contiguous_format), value[row].contiguous()
            for block in some:
                scores = _scores(query[row], keys, block, scaling)
                top = scores.amax(-1, keepdim=True)
                total = scores.sub_(top).exp_().sum(-1, keepdim=True)
                mixed = torch.bmm(scores.to(values.dtype), block.seen(values)).div(total)
                here = slice(block.start, block.end)
                by_group[row, :, :, here] = mixed.view(groups, heads // groups, -1, width).to(out.dtype)
                normalizers[row, :, here] = total.log_().add_(top).view(heads, -1)
        ctx.save_for_backward(query, key, value, out, normalizers)
        ctx.blocks, ctx.scaling = blocks, scaling
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, normalizers = ctx.saved_tensors
        groups, wide = value.shape[1], _wide(query)
        d_query, d_key, d_value = (torch.zeros_like(t) for t in (query, key, value))
        for row, some in _by_row(ctx.blocks):
            keys = key[row].contiguous()
            values, wide_keys = value[row].contiguous(), keys.to(wide)
            row_key, row_value = torch.zeros_like(wide_keys), torch.zeros_like(values, dtype=wide)
            for block in some:
                here = slice(block.start, block.end)
                queries = _stacked(query[row, :, here], groups)
                d_out = _stacked(incoming[row, here].transpose(0, 1), groups)
                dots = (d_out.to(wide) * _stacked(out[row, here].transpose(0, 1), groups)).sum(-1, keepdim=True)
                scores = _scores(query[row], wide_keys, block, ctx.scaling)
                chances = scores.sub_(normalizers[row, :, here].reshape(groups, -1, 1)).exp_()
                block.add(row_value, torch.bmm(chances.to(values.dtype).transpose(1, 2), d_out))
                d_scores = torch.bmm(d_out, block.seen(values).transpose(1, 2)).to(wide)
                d_scores = d_scores.sub_(dots).mul_(chances).to(queries.dtype)
                block.add(row_key, torch.bmm(d_scores.transpose(1, 2), queries))
                moved = torch.bmm(d_scores, block.seen(keys)).mul_(ctx.scaling)
                d_query[row, :, here] = moved.view(query.shape[1], -1, query.shape[-1])
            d_key[row], d_value[row] = row_key.mul_(ctx.scaling), row_value
        return d_query, d_key, d_value, None, None


def _by_row(blocks: list[Block]) -> Iterator[tuple[int, list[Block]]]:
    for row in sorted({block.row for block in blocks}):
        yield row, [block for block in blocks if block.row == row]


def _stacked(heads: Tensor, groups: int) -> Tensor:
    """[H, n, D] to [G, H/G · n, D], contiguous."""
    return heads.reshape(groups, -1, heads.shape[-1])


def _scores(query: Tensor, keys: Tensor, block: Block, scaling: float) -> Tensor:
    """[G, H/G · queries, keys] in float32 (float64 stays), scaled and masked."""
    groups, queries = keys.shape[0], block.end - block.start
    wide = _stacked(query[:, block.start : block.end].to(keys.dtype) * scaling, groups)
    scores = torch.bmm(wide, block.seen(keys).transpose(1, 2))
    by_head = scores.view(groups, -1, queries, scores.shape[-1])
    by_head[..., scores.shape[-1] - block.mask.shape[1] :] += block.mask
    return scores


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
