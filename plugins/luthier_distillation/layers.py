"""The choice of layers that a pruned network keeps, for `model/layers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import decoder_layers
from luthier_distillation.calibration_statistics import CalibrationStatistics, forward_all

if TYPE_CHECKING:
    from luthier.api import Model


class LayerChoice(Protocol):
    """Chooses the layers to keep by their numbers, in ascending order."""

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        """`keep` of the numbers 0 … layers - 1; keep is no more than layers."""


class Evenly:
    """Layers at even distances from the first to the last, both of which are kept."""

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        if keep == 1:
            return [0]
        return [round(place * (layers - 1) / (keep - 1)) for place in range(keep)]


class ByInfluence(CalibrationStatistics):
    """The layers of the highest influence on the hidden states: 1 - cos(before, after), the mean over tokens.

    This is the block influence of Men et al. (2024), equation 1, on the beginnings of the first `texts` training
    examples of `corpus`, of at most `tokens` tokens each. It is measured once and stored in the cache.
    """

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        influences = self.influences(base)
        highest = sorted(range(layers), key=lambda number: (-influences[number], number))[:keep]
        return sorted(highest)

    def influences(self, base: Model) -> list[float]:
        """The influence of each layer, the first one first."""
        measured: list[float] = self.measured("influences", base, influences)
        return measured


def influences(network: nn.Module, batches: Iterator[Tensor]) -> list[float]:
    """1 - cos(before, after) of the hidden states at each layer, the mean over all tokens."""
    layers = decoder_layers(network)
    totals = torch.zeros(len(layers), dtype=torch.float64)

    def hook_for(number: int) -> Any:
        def add(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            before: Tensor = arguments[0] if arguments else named["hidden_states"]
            after: Tensor = output if isinstance(output, Tensor) else output[0]
            totals[number] += (1 - torch.cosine_similarity(before.float(), after.float(), dim=-1)).sum().cpu()

        return add

    hooks = [layer.register_forward_hook(hook_for(number), with_kwargs=True) for number, layer in enumerate(layers)]
    tokens = forward_all(network, batches, hooks)
    return [float(total) / tokens for total in totals]
