"""Attention block by block is attention sequence by sequence, forward and backward."""

from __future__ import annotations

from itertools import accumulate

import pytest
import torch
from torch import Tensor

from luthier.models.attention import AttentionLayer, Packing, per_sequence
from luthier.models.attention import blocks as blocks_of_rows

LAYOUTS = {
    "long ones": ((200, 56), (130, 126)),
    "short neighbours": ((20, 9, 30, 64, 1, 5, 127), (64, 64, 64, 64)),
    "exact blocks": ((64, 128, 64), (256,)),
}


def heads(dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = [(2, 256, 6, 8), (2, 256, 2, 8), (2, 256, 2, 8)]
    return [torch.randn(s, generator=random).to(dtype).transpose(1, 2).requires_grad_() for s in shapes]


def packing(layout: str, padding: frozenset[int] = frozenset()) -> Packing:
    return Packing((0, *accumulate(n for row in LAYOUTS[layout] for n in row)), padding)


def both(layout: str, window: int | None, dtype: torch.dtype, padding: frozenset[int] = frozenset()):  # type: ignore[no-untyped-def]
    parts, packed = heads(dtype), packing(layout, padding)
    ours = blocks_of_rows.attend(*parts, packed.blocks(256, window), 0.3)
    exact = [t.detach().double().requires_grad_() for t in parts]
    theirs = per_sequence(*exact, packed, AttentionLayer(0.3, 0.0, window, None, True))
    incoming = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = torch.autograd.grad(ours, parts, incoming.to(dtype))
    return [ours, *gradients], [theirs, *torch.autograd.grad(theirs, exact, incoming)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window", [None, 3, 100])
def test_blocks_give_the_outputs_and_gradients_of_each_sequence_alone(layout: str, window: int | None) -> None:
    for ours, theirs in zip(*both(layout, window, torch.float64), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_in_bf16_only_the_rounding_of_inputs_and_products_remains(layout: str) -> None:
    for ours, theirs in zip(*both(layout, None, torch.bfloat16), strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours - theirs).norm() < 0.01 * theirs.norm()


def test_padding_costs_nothing_and_gives_zeros() -> None:
    padded = frozenset({1, 3})
    ours, theirs = both("long ones", None, torch.float64, padded)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    assert not ours[0][0, 200:].any()
    assert sum(block.end - block.start for block in packing("long ones", padded).blocks(256, None)) == 330


def test_every_query_is_in_exactly_one_block() -> None:
    for layout in LAYOUTS:
        blocks = packing(layout).blocks(256, None)
        seen = sorted(block.row * 256 + at for block in blocks for at in range(block.start, block.end))
        assert seen == list(range(512))
        assert all(block.end - block.start <= blocks_of_rows.ROWS for block in blocks)


def test_short_neighbours_share_a_block() -> None:
    assert len(packing("short neighbours").blocks(256, None)) == 9


def test_a_window_leaves_out_the_keys_before_it() -> None:
    blocks = packing("exact blocks").blocks(256, 10)
    assert max(block.end - block.first for block in blocks) == blocks_of_rows.ROWS + 9


def test_gradients_pass_torch_gradcheck() -> None:
    parts = [t[:, :, :70, :2].detach().requires_grad_() for t in heads(torch.float64)]
    blocks = Packing((0, 66, 70, 73, 140)).blocks(70, None)
    assert torch.autograd.gradcheck(lambda q, k, v: blocks_of_rows.attend(q, k, v, blocks, 0.5), parts, fast_mode=True)
