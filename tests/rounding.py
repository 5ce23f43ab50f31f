"""What rounding does to the logits of a network, measured: no list of networks says it, and no processor changes it."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

UNITS = 32
"""How often each weight is rounded, at most, in one of two computations that are equal on paper."""


@torch.no_grad()
def rounding(network: nn.Module, ids: Tensor) -> float:
    """The largest change of a text's logits where each weight moves by `UNITS` in its last place, up or down.

    Computed with one unit, in two ways: it is what a network makes of any rounding, through states and many layers.
    """
    whole = _logits(network, ids)
    return UNITS * max(float((_logits(_moved(network, seed), ids) - whole).abs().max()) for seed in range(2))


def assert_equal_but_for_rounding(found: Tensor, wanted: Tensor, network: nn.Module, ids: Tensor) -> None:
    """Two computations of the logits of `network` for a text differ by no more than rounding makes of them."""
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=rounding(network, ids))


def _moved(network: nn.Module, seed: int) -> nn.Module:
    moved, generator = deepcopy(network), torch.Generator().manual_seed(seed)
    for weight in moved.parameters():
        if weight.is_floating_point():
            up = torch.rand(weight.shape, generator=generator) < 0.5
            weight.data = torch.nextafter(weight, torch.where(up, torch.inf, -torch.inf))
    return moved


def _logits(network: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = network.eval()(input_ids=ids, use_cache=False).logits
    return logits
