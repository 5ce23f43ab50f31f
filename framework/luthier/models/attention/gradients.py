"""Gradients that are compared: of sums in random directions, so that no two faults cancel each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def directions(shape: Any, seed: int) -> Tensor:
    """Normally distributed numbers of a shape, the same for each seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def backward(values: Tensor) -> None:
    """Add the gradients of their sum to those of the weights."""
    if values.requires_grad:  # a network without weights that are trained has no gradients to compare
        values.sum().backward()  # type: ignore[no-untyped-call]


def taken_gradients(network: nn.Module) -> dict[str, Tensor]:
    """The gradients by name, which the network then has no longer."""
    found = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    network.zero_grad()
    return found
