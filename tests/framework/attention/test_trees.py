"""A shared beginning computed once gives the losses and gradients of every sequence computed whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data import encoding as encode
from luthier.data.collate import collate
from luthier.data.shared_prefixes import sequence_sums
from luthier.models.attention import AttentionLayer, Packing, layout_of, per_sequence
from luthier.models.attention import blocks as blocks_of_rows
from luthier.models.lm_head import find_lm_head, hidden_states
from tests.framework.attention.test_isolation import build
from tests.whole_sequences import without_shared_prefixes

BRANCHING = ["llama", "qwen2", "qwen2 with windows", "mistral", "gemma2", "gemma2 uncapped", "gpt2", "gptneox"]
TREES = ((7, (5, 3)), (1, (2, 6)), (11, (4, 4, 9)))
"""(tokens that all share, own tokens of each branch)"""


def rows(trees: Any = TREES, vocabulary: int = 67) -> list[Row]:
    random = np.random.default_rng(0)

    def ids(count: int) -> Any:
        return random.integers(3, vocabulary, count).astype(np.int32)

    found = []
    for shared, own in trees:
        trunk, bridge = ids(shared), ids(1)
        whole = [np.concatenate([trunk, bridge, ids(size)]) for size in own]
        weights = [np.concatenate([np.zeros(shared + 1), np.ones(size)]).astype(np.float32) for size in own]
        found.append(encode.row_with_shared_prefix([TokenSequence(*each) for each in zip(whole, weights, strict=True)]))
    return found


def single() -> Row:
    return Row((TokenSequence(np.arange(3, 12, dtype=np.int32), np.array([0, *[1.0] * 8], dtype=np.float32)),))


def losses(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """-log p of each sequence, and the gradients of a sum in which each counts differently."""
    hidden = hidden_states(network, batch)
    targets = batch.input_ids.roll(-1, 1).flatten()
    found = -find_lm_head(network).log_probs(hidden.flatten(0, 1), targets).view_as(batch.weights)
    of_sequences = sequence_sums(found * batch.weights.roll(-1, 1), batch)
    network.zero_grad()
    (of_sequences * torch.arange(1, len(of_sequences) + 1)).sum().backward()
    return of_sequences.detach(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def assert_same(ours: tuple[Tensor, dict[str, Tensor]], theirs: tuple[Tensor, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5, atol=1e-5)
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in ours[1].items():
        scale = theirs[1][name].abs().max().clamp(min=1.0)
        torch.testing.assert_close(gradient / scale, theirs[1][name] / scale, rtol=1e-5, atol=1e-5)


def test_what_begins_alike_is_shared_up_to_the_token_that_predicts_the_first_trained_one():
    first, second, third = rows()
    assert [row.shared for row in (first, second, third)] == [7, 1, 11]
    assert len(first) == 7 + 6 + 4
    assert len(third) == 11 + 5 + 5 + 10
    other = TokenSequence(first.sequences[0].ids + 1, first.sequences[0].weights)
    assert encode.row_with_shared_prefix([first.sequences[0], other]).shared == 0
    assert encode.row_with_shared_prefix([first.sequences[0]]).shared == 0


def test_a_shared_beginning_is_laid_down_once():
    batch = collate([[rows()[0], single()], [rows()[1]]], 32)
    assert batch.boundaries == (0, 7, 13, 17, 26, 32, 33, 36, 43, 64)
    assert batch.prefix_of == {1: 0, 2: 0, 6: 5, 7: 5}
    assert batch.sequence_groups == ((1, 2), (3,), (6, 7))
    assert batch.sequence_numbers == (1, 2, 3, 6, 7)
    assert batch.positions[0, :17].tolist() == [*range(7), *range(7, 13), *range(7, 11)]
    assert batch.segments[0, :17].tolist() == [1] * 7 + [2] * 6 + [3] * 4


@pytest.mark.parametrize("name", BRANCHING)
@pytest.mark.parametrize("implementation", ["luthier_packed", "sdpa", "eager"])
def test_shared_equals_whole(name: str, implementation: str) -> None:
    if implementation == "sdpa" and name.startswith("gemma2"):
        return  # transformers refuses that
    network = build(name, implementation)
    blocks = [[rows()[0], single(), rows()[1]], [rows()[2]]]
    batch, whole = collate(blocks, 40), without_shared_prefixes(collate(blocks, 40))
    assert not whole.prefix_of
    assert whole.input_ids.shape[0] == len(whole.sequence_numbers) == len(batch.sequence_numbers)
    assert layout_of(network).shared_prefixes or implementation != "luthier_packed"
    assert_same(losses(network, batch), losses(build(name, "eager"), whole))


def test_shared_equals_whole_with_gradient_checkpointing_and_compiled_layers() -> None:
    network = build("llama", "luthier_packed").train()
    network.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in network.model.layers:
        layer.compile(backend="aot_eager")
    batch = collate([rows()])
    assert_same(losses(network, batch), losses(build("llama", "eager"), without_shared_prefixes(batch)))


def test_changing_one_branch_changes_no_other_and_not_the_trunk() -> None:
    network, batch = build("llama", "luthier_packed"), collate([rows()])
    before = hidden_states(network, batch)
    batch.input_ids[0, 9] = 66  # inside the first branch of the first tree
    after = hidden_states(network, batch)
    changed = (before != after).any(-1)[0]
    assert changed[9:13].all()
    assert not changed[:9].any()
    assert not changed[13:].any()


def test_a_network_whose_masks_lose_the_window_repeats_what_is_shared() -> None:
    assert not layout_of(build("mistral", "sdpa")).shared_prefixes
    assert layout_of(build("mistral", "luthier_packed")).shared_prefixes


BIG = {
    "long": (100, (70, 90)),
    "short": (20, (9, 12, 5)),
    "short answers behind a long prompt": (150, (3, 2, 4, 1)),
}


def packing(*names: str, width: int = 256) -> Packing:
    sizes: list[int] = []
    branches = {}
    for name in names:
        shared, own = BIG[name]
        branches |= dict.fromkeys(range(len(sizes) + 1, len(sizes) + 1 + len(own)), len(sizes))
        sizes += [shared, *own]
    rest = -sum(sizes) % width
    return Packing((0, *accumulate([*sizes, *([rest] if rest else [])])), frozenset(), branches)


@pytest.mark.parametrize("window", [None, 3, 40, 120])
@pytest.mark.parametrize("names", [("long",), ("short", "short answers behind a long prompt"), ("short", "short")])
def test_blocks_give_the_outputs_and_gradients_of_each_branch_alone(names: tuple[str, ...], window: int | None) -> None:
    packed = packing(*names, width=272)
    random = torch.Generator().manual_seed(0)
    shapes = [(1, 272, 6, 8), (1, 272, 2, 8), (1, 272, 2, 8)]
    parts = [torch.randn(s, generator=random, dtype=torch.float64).transpose(1, 2).requires_grad_() for s in shapes]
    incoming = torch.randn(1, 272, 6, 8, generator=random, dtype=torch.float64)

    def outcome(attend: Callable[[], Tensor]) -> list[Tensor]:
        out = attend()
        return [out, *torch.autograd.grad(out, parts, incoming)]

    ours = outcome(lambda: blocks_of_rows.attend(*parts, packed.blocks(272, window), 0.3))
    theirs = outcome(lambda: per_sequence(*parts, packed, AttentionLayer(0.3, 0.0, window, None, True)))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_a_short_tree_is_one_block_and_a_trunk_is_never_read_twice_into_a_block() -> None:
    assert len(packing("short", "short answers behind a long prompt", width=256).blocks(256, None)) == 1 + 3 + 4 + 1
    blocks = packing("long", width=272).blocks(272, None)
    assert {block.trunk for block in blocks} == {None, (0, 100)}
