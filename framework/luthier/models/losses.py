"""Chunked cross-entropy over a vocabulary: only the logits of a few hundred tokens are held at a time.

The logits of a chunk of rows exist only while the chunk is worked on: the loss needs their log-sum-exp, the gradient
their softmax, and both are at hand at once. So `chunked_cross_entropy` makes the gradients of hidden states and head
in the forward and the backward only scales them, while `token_log_probs`, whose incoming gradient is not known
beforehand, makes the logits of each chunk a second time. Softmax is taken in float32, or wider if the inputs are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = {"cpu": 2**24, "cuda": 2**27}
"""How many logits of a chunk may exist at once, for each kind of device: 64 MiB of float32 on a CPU."""


def chunked_cross_entropy(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    weights: Tensor,
    *,
    softcap: float | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The weighted sum of -log p(target) over all tokens, and the sum of the weights; both float32 scalars.

    hidden [N, H], head [V, H], targets int64 [N], weights float32 [N], bias [V]. A row of weight 0 costs nothing: it
    never meets the head, and its target is never looked at. Logits are `softcap · tanh(scale · (hidden · headᵀ + bias)
    / softcap)`. `chunk` is the number of rows worked on at once; by default it follows from the vocabulary.
    """
    wants_gradients = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, head, bias))
    logits = _Logits(scale, softcap, chunk, _matmul_dtype(hidden, head), wants_gradients)
    apply: Callable[..., Tensor] = _CrossEntropy.apply
    return apply(hidden, head, bias, targets, weights, logits), weights.sum()


def token_log_probs(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    *,
    softcap: float | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """log p(target) of each token, float32 [N], differentiable; the arguments are those of `chunked_cross_entropy`."""
    logits = _Logits(scale, softcap, chunk, _matmul_dtype(hidden, head), torch.is_grad_enabled())
    apply: Callable[..., Tensor] = _TokenLogProbs.apply
    return apply(hidden, head, bias, targets, logits)


def token_entropies(
    hidden: Tensor,
    head: Tensor,
    *,
    softcap: float | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """-Σ p log p over the vocabulary for each row of hidden states, float32 [N], differentiable; in nats."""
    logits = _Logits(scale, softcap, chunk, _matmul_dtype(hidden, head), torch.is_grad_enabled())
    apply: Callable[..., Tensor] = _TokenEntropies.apply
    return apply(hidden, head, bias, logits)


@dataclass(frozen=True, slots=True)
class _Logits:
    """How rows of hidden states become logits, and how gradients come back."""

    scale: float | None
    softcap: float | None
    chunk: int | None
    dtype: torch.dtype
    wants_gradients: bool

    def rows(self, head: Tensor) -> int:
        return self.chunk or max(64, CHUNK_ELEMENTS.get(head.device.type, 2**24) // head.shape[0])

    def __call__(self, hidden: Tensor, head: Tensor, bias: Tensor | None) -> Tensor:
        """[n, H] in the matmul's dtype to [n, V] in float32 (float64 stays)."""
        logits = (hidden @ head.t()).to(torch.promote_types(self.dtype, torch.float32))
        if bias is not None:
            logits += bias
        if self.scale is not None:
            logits *= self.scale
        if self.softcap is not None:
            logits = logits.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits

    def backward(self, gradient: Tensor, slope: Tensor | None) -> Tensor:
        """The gradient of what the head gave, in place, from that of the logits; `slope` is `self.slope(logits)`."""
        if slope is not None:
            gradient *= slope
        if self.scale is not None:
            gradient *= self.scale
        return gradient

    def slope(self, logits: Tensor) -> Tensor | None:
        """d softcapped / d uncapped, from the softcapped logits."""
        return None if self.softcap is None else 1 - (logits / self.softcap).square_()


class _Gradients:
    """Collects the gradients of hidden states, head and bias, chunk by chunk, for those that want one."""

    def __init__(self, wanted: Sequence[bool], hidden: Tensor, head: Tensor, bias: Tensor | None) -> None:
        wide = torch.promote_types(head.dtype, torch.float32)
        self.hidden = torch.zeros_like(hidden) if wanted[0] else None
        self.head = torch.zeros_like(head, dtype=wide, memory_format=torch.contiguous_format) if wanted[1] else None
        self.bias = torch.zeros_like(bias, dtype=wide) if wanted[2] and bias is not None else None

    def add(self, where: Tensor, gradient: Tensor, rows: Tensor, head: Tensor, factors: Tensor) -> None:
        """`gradient` [n, V] is that of the head's output before each row is multiplied by its factor [n, 1]."""
        if self.bias is not None:
            self.bias += (gradient * factors).sum(0)
        gradient = gradient.to(rows.dtype)
        if self.hidden is not None:
            self.hidden[where] = ((gradient @ head) * factors).to(self.hidden.dtype)
        if self.head is not None:
            weighted = (rows * factors).to(rows.dtype)
            if self.head.dtype == rows.dtype:
                self.head.addmm_(gradient.t(), weighted)
            else:
                self.head += gradient.t() @ weighted

    def like(self, head: Tensor, bias: Tensor | None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        to_bias = None if self.bias is None or bias is None else self.bias.to(bias.dtype)
        return self.hidden, None if self.head is None else self.head.to(head.dtype), to_bias


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, weights: Tensor, logits: _Logits
    ) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        wanted = [logits.wants_gradients and needed for needed in ctx.needs_input_grad[:3]]
        gradients = _Gradients(wanted, hidden, head, bias)
        weight = head.to(logits.dtype)
        for where in torch.split(weights.nonzero().flatten(), logits.rows(head)):
            rows, target = hidden[where].to(logits.dtype), targets[where].unsqueeze(1)
            factors = weights[where].unsqueeze(1).to(wide)
            output = logits(rows, weight, bias)
            slope = logits.slope(output) if any(wanted) else None
            log_probs = torch.log_softmax(output, dim=-1)
            del output
            total -= (log_probs.gather(1, target) * factors).sum()
            if any(wanted):
                gradient = log_probs.exp_().scatter_add_(1, target, torch.full_like(factors, -1.0))
                gradients.add(where, logits.backward(gradient, slope), rows, weight, factors)
        ctx.save_for_backward(*gradients.like(head, bias))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        made = ctx.saved_tensors
        if incoming.device.type == "cpu" and incoming.item() == 1.0:
            return *made, None, None, None
        scaled = [None if gradient is None else (gradient * incoming).to(gradient.dtype) for gradient in made]
        return *scaled, None, None, None


class _TokenLogProbs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor | None, targets: Tensor, logits: _Logits
    ) -> Tensor:
        wide = torch.promote_types(logits.dtype, torch.float32)
        result = torch.empty(len(targets), dtype=wide, device=hidden.device)
        normalizers = torch.empty_like(result)
        weight = head.to(logits.dtype)
        for start in range(0, len(targets), logits.rows(head)):
            part = slice(start, start + logits.rows(head))
            output = logits(hidden[part].to(logits.dtype), weight, bias)
            normalizers[part] = torch.logsumexp(output, dim=-1)
            result[part] = output.gather(1, targets[part].unsqueeze(1)).squeeze(1) - normalizers[part]
        ctx.save_for_backward(hidden, head, bias, targets, normalizers)
        ctx.logits = logits
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        hidden, head, bias, targets, normalizers = ctx.saved_tensors
        logits: _Logits = ctx.logits
        gradients = _Gradients(ctx.needs_input_grad[:3], hidden, head, bias)
        weight = head.to(logits.dtype)
        for where in torch.split(incoming.nonzero().flatten(), logits.rows(head)):
            rows, target = hidden[where].to(logits.dtype), targets[where].unsqueeze(1)
            output = logits(rows, weight, bias)
            slope = logits.slope(output)
            gradient = output.sub_(normalizers[where].unsqueeze(1)).exp_().neg_()
            gradient.scatter_add_(1, target, torch.ones_like(target, dtype=gradient.dtype))
            gradients.add(where, logits.backward(gradient, slope), rows, weight, incoming[where].unsqueeze(1))
        return *gradients.like(head, bias), None, None


class _TokenEntropies(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, bias: Tensor | None, logits: _Logits) -> Tensor:
        result = torch.empty(len(hidden), dtype=torch.promote_types(logits.dtype, torch.float32), device=hidden.device)
        weight = head.to(logits.dtype)
        for start in range(0, len(hidden), logits.rows(head)):
            part = slice(start, start + logits.rows(head))
            log_probs = torch.log_softmax(logits(hidden[part].to(logits.dtype), weight, bias), dim=-1)
            result[part] = -(log_probs.exp() * log_probs).sum(-1)
        ctx.save_for_backward(hidden, head, bias, result)
        ctx.logits = logits
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        hidden, head, bias, entropies = ctx.saved_tensors
        logits: _Logits = ctx.logits
        gradients = _Gradients(ctx.needs_input_grad[:3], hidden, head, bias)
        weight = head.to(logits.dtype)
        for where in torch.split(incoming.nonzero().flatten(), logits.rows(head)):
            rows = hidden[where].to(logits.dtype)
            output = logits(rows, weight, bias)
            slope = logits.slope(output)
            log_probs = torch.log_softmax(output, dim=-1)
            gradient = (log_probs.exp() * (log_probs + entropies[where].unsqueeze(1))).neg_()
            gradients.add(where, logits.backward(gradient, slope), rows, weight, incoming[where].unsqueeze(1))
        return *gradients.like(head, bias), None


def _matmul_dtype(hidden: Tensor, head: Tensor) -> torch.dtype:
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return torch.promote_types(hidden.dtype, head.dtype)
