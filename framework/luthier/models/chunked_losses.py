"""Chunked losses of logits in general: only the logits of a few hundred tokens are held at a time.

`luthier.models.losses` has cross-entropy with gradients by hand. Here the loss is whatever a method says of the logits
of some tokens, such as their distance from a teacher's: each chunk is differentiated as soon as it is made, in the
forward, and the backward only scales what was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from luthier.models.lm_head import LMHead
from luthier.models.losses import CHUNK_ELEMENTS

Measure = Callable[[Tensor, slice], Tensor]
"""`measure(logits, rows)`: the loss of each of those rows, [n], from their float32 logits [n, V]; called once each."""


def chunked_loss(
    head: LMHead, hidden: Tensor, weights: Tensor, measure: Measure, *, chunk: int | None = None
) -> Tensor:
    """Σ weight · measure over all tokens, a float32 scalar with gradients for hidden states and head.

    hidden [N, H], weights float32 [N]; any head will do, an adapted or quantized one too. `chunk` is the number of
    rows worked on at once; by default it follows from the vocabulary. Gradients reach nothing but the two: whatever
    else `measure` looks at stays as it is.
    """
    trained = [weight for weight in head.module.parameters() if weight.requires_grad]
    apply: Callable[..., Tensor] = _Chunked.apply
    return apply(hidden, _Work(head, weights, measure, chunk, torch.is_grad_enabled()), *trained)


@dataclass(frozen=True, slots=True)
class _Work:
    head: LMHead
    weights: Tensor
    measure: Measure
    chunk: int | None
    wants_gradients: bool

    def loss(self, hidden: Tensor, rows: slice) -> Tensor:
        return (self.measure(self.head.logits(hidden), rows) * self.weights[rows]).sum()

    def chunks(self, hidden: Tensor) -> Iterator[slice]:
        """As many rows at once as leave room for two networks' logits and a few steps between them."""
        with torch.enable_grad():  # or autocast would remember a weight that takes no gradient
            vocabulary = self.head.logits(hidden[:1]).shape[-1]
        size = self.chunk or max(32, CHUNK_ELEMENTS.get(hidden.device.type, 2**24) // (2 * vocabulary))
        for start in range(0, len(hidden), size):
            yield slice(start, start + size)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, work: _Work, *trained: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32), device=hidden.device)
        if not (work.wants_gradients and any(ctx.needs_input_grad)):
            for rows in work.chunks(hidden):
                total += work.loss(hidden[rows], rows)
            return total
        into_hidden = torch.zeros_like(hidden)
        into_head = [torch.zeros_like(one, dtype=torch.promote_types(one.dtype, torch.float32)) for one in trained]
        for rows in work.chunks(hidden):
            with torch.enable_grad():
                part = hidden[rows].detach().requires_grad_()
                loss = work.loss(part, rows)
            to_part, *to_head = torch.autograd.grad(loss, [part, *trained], allow_unused=True)
            into_hidden[rows] = to_part
            for kept, found in zip(into_head, to_head, strict=True):
                if found is not None:
                    kept += found
            total += loss.detach()
        made = [kept.to(one.dtype) for kept, one in zip(into_head, trained, strict=True)]
        ctx.save_for_backward(into_hidden, *made)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        into_hidden, *into_head = ((found * incoming).to(found.dtype) for found in ctx.saved_tensors)
        return into_hidden, None, *into_head
