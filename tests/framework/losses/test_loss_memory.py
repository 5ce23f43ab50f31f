from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from luthier.models.losses import chunked_cross_entropy, token_log_probs

ROWS, WIDTH, VOCABULARY, CHUNK = 512, 8, 1024, 32


class Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.elements = max(self.elements, leaf.numel())
        return result


def inputs() -> tuple[torch.Tensor, ...]:
    hidden = torch.randn(ROWS, WIDTH, requires_grad=True)
    head = torch.randn(VOCABULARY, WIDTH, requires_grad=True)
    return hidden, head, torch.randint(VOCABULARY, (ROWS,)), torch.ones(ROWS)


def test_nothing_larger_than_the_logits_of_one_chunk_ever_exists() -> None:
    hidden, head, targets, weights = inputs()
    with Largest() as loss:
        chunked_cross_entropy(hidden, head, targets, weights, chunk=CHUNK)[0].backward()
    with Largest() as log_probs:
        token_log_probs(hidden, head, targets, chunk=CHUNK).sum().backward()
    assert loss.elements == log_probs.elements == CHUNK * VOCABULARY


def test_the_default_chunk_follows_from_the_vocabulary() -> None:
    hidden, _, targets, weights = inputs()
    many = torch.nn.Parameter(torch.randn(2**17, WIDTH))
    with Largest() as largest:
        chunked_cross_entropy(hidden, many, targets, weights)[0].backward()
    assert largest.elements == 2**24
