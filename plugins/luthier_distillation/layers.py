"""Which layers of a network does a smaller one keep?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import decoder_layers
from luthier_distillation.calibration_statistics import OnExamples

if TYPE_CHECKING:
    from luthier.api import Model


class Choice(Protocol):
    """Chooses layers to keep by their numbers, in order."""

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        """`keep` of the numbers 0 … layers - 1; keep is no more than layers."""


class Evenly:
    """At even distances from the first layer to the last, both of which stay."""

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        if keep == 1:
            return [0]
        return [round(place * (layers - 1) / (keep - 1)) for place in range(keep)]


class ByInfluence(OnExamples):
    """Those that change what passes through them most: 1 - cos(before, after), the mean over tokens.

    This is the block influence of Men et al. (2024), equation 1, on the beginnings of the first `texts` training
    examples of `corpus`, of at most `tokens` tokens each. It is measured once and kept in the cache.
    """

    def __init__(self, *, corpus: Any, texts: int = 32, tokens: int = 256) -> None:
        super().__init__(corpus=corpus, texts=texts, tokens=tokens)

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        influences = self.influences(base)
        strongest = sorted(range(layers), key=lambda number: (-influences[number], number))[:keep]
        return sorted(strongest)

    def influences(self, base: Model) -> list[float]:
        """One number for each layer, the first one first."""
        found: list[float] = self.once("influences", base, influences)
        return found


def influences(network: nn.Module, batches: Iterator[Tensor]) -> list[float]:
    """1 - cos(before, after) of each layer, the mean over all tokens of the texts."""
    layers = decoder_layers(network)
    totals, count = torch.zeros(len(layers), dtype=torch.float64), 0

    def watch(number: int) -> Any:
        def seen(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
            before: Tensor = arguments[0] if arguments else named["hidden_states"]
            after: Tensor = output if isinstance(output, Tensor) else output[0]
            totals[number] += (1 - torch.cosine_similarity(before.float(), after.float(), dim=-1)).sum().cpu()

        return seen

    handles = [layer.register_forward_hook(watch(number), with_kwargs=True) for number, layer in enumerate(layers)]
    try:
        for ids in batches:
            network(input_ids=ids, use_cache=False, logits_to_keep=1)
            count += ids.numel()
    finally:
        for handle in handles:
            handle.remove()
    return [float(total) / max(1, count) for total in totals]
