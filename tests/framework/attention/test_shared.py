"""Keys that every packed sequence sees before its own, against attention written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from luthier.models.attention import AttentionLayer, Packing, choose, packed_attention, per_sequence, varlen

PLAIN = AttentionLayer(scaling=None, dropout=0.0, window=None, softcap=None, causal=True)
LAYERS = {
    "plain": PLAIN,
    "scaled": AttentionLayer(0.3, 0.0, None, None, True),
    "window": AttentionLayer(None, 0.0, 4, None, True),
    "softcap": AttentionLayer(None, 0.0, None, 0.7, True),
    "softcap and window": AttentionLayer(None, 0.0, 5, 0.7, True),
}
BOUNDARIES = (0, 3, 8, 14, 16)  # two rows of 8
LEAD = 3


class Second(nn.Module):
    is_causal, layer_idx = True, 1


@pytest.fixture
def states() -> tuple[Tensor, ...]:
    """Queries of four heads, keys and values of two, with three tokens before the eight of each row."""
    random = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, heads, LEAD + 8, 16, generator=random) for heads in (4, 2, 2))


def written_out(query: Tensor, key: Tensor, value: Tensor, layer: AttentionLayer) -> Tensor:
    """[H, n, D] over [H, m, D], the last of both being the same token; gives [n, H, D]."""
    key, value = (t.repeat_interleave(len(query) // len(key), dim=0) for t in (key, value))
    scores = query @ key.transpose(1, 2) * (layer.scaling or query.shape[-1] ** -0.5)
    scores = scores if layer.softcap is None else torch.tanh(scores / layer.softcap) * layer.softcap
    more = key.shape[1] - query.shape[1]
    for at in range(query.shape[1]):
        scores[:, at, more + at + 1 :] = -torch.inf
        if layer.window is not None:
            scores[:, at, : max(0, more + at + 1 - layer.window)] = -torch.inf
    return (scores.softmax(-1) @ value).transpose(0, 1)


def expected(states: tuple[Tensor, ...], layer: AttentionLayer) -> Tensor:
    """[2, 8, H, D]: each sequence of a row behind the first three tokens of its row."""
    rows = torch.zeros(2, 8, 4, 16)
    for row, start, stop in ((0, 0, 3), (0, 3, 8), (1, 0, 6), (1, 6, 8)):
        query, key, value = (t[row] for t in states)
        keys, values = (torch.cat([t[:, :LEAD], t[:, LEAD + start : LEAD + stop]], 1) for t in (key, value))
        rows[row, start:stop] = written_out(query[:, LEAD + start : LEAD + stop], keys, values, layer)
    return rows


@pytest.mark.parametrize("name", LAYERS)
def test_every_sequence_sees_what_its_row_begins_with(name: str, states: tuple[Tensor, ...]) -> None:
    layer = LAYERS[name]
    packing = Packing(BOUNDARIES).behind(lead=LEAD)
    out, _ = packed_attention(
        Second(), *states, None, packing=packing, scaling=layer.scaling, sliding_window=layer.window,
        softcap=layer.softcap,
    )  # fmt: skip
    torch.testing.assert_close(out[:, LEAD:], expected(states, layer))
    for row in range(2):
        alone = written_out(*(t[row, :, :LEAD] for t in states), layer)
        torch.testing.assert_close(out[row, :LEAD], alone)


def test_each_layer_has_keys_and_values_of_its_own(states: tuple[Tensor, ...]) -> None:
    query, key, value = states
    key, value = (t[:1].expand(2, -1, -1, -1) for t in (key, value))  # the same before both rows
    before = torch.stack([torch.full_like(key[0, :, :LEAD], torch.nan).expand(2, -1, -1, -1),
                          torch.stack([key[0, :, :LEAD], value[0, :, :LEAD]])])  # fmt: skip
    out, _ = packed_attention(
        Second(),
        *(t[:, :, LEAD:] for t in (query, key, value)),
        None,
        packing=Packing(BOUNDARIES).behind(before=before),
    )
    torch.testing.assert_close(out, expected((query, key, value), PLAIN))


def test_varlen_is_given_the_keys_of_each_sequence_one_after_another(
    monkeypatch: pytest.MonkeyPatch, states: tuple[Tensor, ...]
) -> None:
    import torch.nn.attention.varlen as flash

    def reference(q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int, **kw: object):  # type: ignore[no-untyped-def]
        assert (max_q, max_k) == (6, 6 + LEAD)
        assert cu_k.tolist() == [0, 6, 14, 23, 28]
        left, right = kw["window_size"]  # type: ignore[misc]
        assert right == 0
        layer = AttentionLayer(kw["scale"], 0.0, None if left == -1 else left + 1, None, True)  # type: ignore[arg-type]
        spans = zip(*(t.tolist() for t in (cu_q[:-1], cu_q[1:], cu_k[:-1], cu_k[1:])), strict=True)
        return torch.cat(
            [written_out(q[a:b].transpose(0, 1), *(t[c:d].transpose(0, 1) for t in (k, v)), layer)
             for a, b, c, d in spans]
        )  # fmt: skip

    monkeypatch.setattr(flash, "varlen_attn", reference)
    query, key, value = (t[:, :, LEAD:] for t in states)
    shared = tuple(t[:, :, :LEAD] for t in states[1:])
    for layer in (LAYERS["plain"], LAYERS["scaled"], LAYERS["window"]):
        ours = varlen(query, key, value, Packing(BOUNDARIES), layer, shared)
        torch.testing.assert_close(ours, expected(states, layer))
        torch.testing.assert_close(ours, per_sequence(query, key, value, Packing(BOUNDARIES), layer, shared))


def test_blocks_are_planned_for_sequences_that_see_their_own_keys_alone() -> None:
    assert choose("cpu", torch.bfloat16, 64, PLAIN, shared=True) is per_sequence
    assert choose("cuda", torch.bfloat16, 64, PLAIN, shared=True) is varlen
