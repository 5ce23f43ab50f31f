"""Causal attention over packed rows on a CPU, block by block, with a backward pass made of matrix products.

torch's own flash kernel spends a fifth of a bf16 training step in its backward here; a few batched products over
blocks of queries do the same work in about half the time. Scores are made and soft-maxed in float32; probabilities are
made again in the backward from the log-sum-exp, so nothing of size queries × keys is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 64
"""How many queries are worked on at once: their scores stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Queries start … end of one row of the batch, which look at keys first … end.

    `mask` [queries, n] is added to the scores of the last n keys; the keys before those are all seen.
    """

    row: int
    start: int
    end: int
    first: int
    mask: Tensor


def plan(boundaries: Sequence[int], padding: frozenset[int], length: int, window: int | None) -> list[Block]:
    """Cut packed rows of `length` tokens into blocks: long sequences into several, short neighbours into one."""
    blocks: list[Block] = []
    waiting: list[int] = []  # boundaries of short neighbours, over the flattened batch
    for number, (start, end) in enumerate(pairwise(boundaries)):
        if waiting and (end - waiting[0] > ROWS or start != waiting[-1] or start % length == 0 or number in padding):
            blocks.append(_together(waiting, length, window))
            waiting = []
        if number in padding:
            continue
        if end - start > ROWS:
            blocks.extend(_apart(start, end, length, window))
        else:
            waiting = [*(waiting or [start]), end]
    return [*blocks, _together(waiting, length, window)] if waiting else blocks


def _together(boundaries: list[int], length: int, window: int | None) -> Block:
    numbers = torch.arange(len(boundaries) - 1).repeat_interleave(torch.tensor(boundaries).diff())
    mask = _causal(len(numbers), len(numbers), window).masked_fill_(numbers[:, None] != numbers, -torch.inf)
    row, start = divmod(boundaries[0], length)
    return Block(row, start, start + len(numbers), start, mask)


def _apart(start: int, end: int, length: int, window: int | None) -> Iterator[Block]:
    row, first = divmod(start, length)
    for at in range(first, first + end - start, ROWS):
        stop = min(at + ROWS, first + end - start)
        seen = first if window is None else max(first, at - window + 1)
        keys = stop - at if window is None else stop - seen
        yield Block(row, at, stop, seen, _causal(stop - at, keys, window))


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
                mixed = torch.bmm(scores.to(values.dtype), values[:, block.first : block.end]).div(total)
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
                here, there = slice(block.start, block.end), slice(block.first, block.end)
                queries = _stacked(query[row, :, here], groups)
                d_out = _stacked(incoming[row, here].transpose(0, 1), groups)
                dots = (d_out.to(wide) * _stacked(out[row, here].transpose(0, 1), groups)).sum(-1, keepdim=True)
                scores = _scores(query[row], wide_keys, block, ctx.scaling)
                chances = scores.sub_(normalizers[row, :, here].reshape(groups, -1, 1)).exp_()
                row_value[:, there] += torch.bmm(chances.to(values.dtype).transpose(1, 2), d_out)
                d_scores = torch.bmm(d_out, values[:, there].transpose(1, 2)).to(wide)
                d_scores = d_scores.sub_(dots).mul_(chances).to(queries.dtype)
                row_key[:, there] += torch.bmm(d_scores.transpose(1, 2), queries)
                moved = torch.bmm(d_scores, keys[:, there]).mul_(ctx.scaling)
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
    scores = torch.bmm(wide, keys[:, block.first : block.end].transpose(1, 2))
    by_head = scores.view(groups, -1, queries, scores.shape[-1])
    by_head[..., scores.shape[-1] - block.mask.shape[1] :] += block.mask
    return scores


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
