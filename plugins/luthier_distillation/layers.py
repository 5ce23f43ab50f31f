"""Which layers of a network does a smaller one keep?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

import luthier
from luthier.data import identity
from luthier.data.examples import text_of
from luthier.data.reading import Reading
from luthier.fetch import cache
from luthier.fetch.once import once
from luthier.models.loading import decoder_layers

if TYPE_CHECKING:
    from luthier.parts import Model, Source

_FOUND = "influence.json"


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


class ByInfluence:
    """Those that change what passes through them most: 1 - cos(before, after), the mean over tokens.

    This is the block influence of Men et al. (2024), equation 1, on the beginnings of the first `texts` training
    examples of `corpus`, of at most `tokens` tokens each. It is measured once and kept in the cache.
    """

    def __init__(self, *, corpus: Any, texts: int = 32, tokens: int = 256) -> None:
        self.corpus: Source = corpus
        self.texts, self.tokens = texts, tokens

    def __call__(self, base: Model, layers: int, keep: int) -> list[int]:
        influences = self.influences(base)
        strongest = sorted(range(layers), key=lambda number: (-influences[number], number))[:keep]
        return sorted(strongest)

    def influences(self, base: Model) -> list[float]:
        """One number for each layer, the first one first."""
        reading = Reading.of(self.corpus)
        asked = [luthier.__version__, base.lineage(), dict(reading.digests), self.texts, self.tokens]

        def measure(folder: Path) -> None:
            texts = [text_of(example) for example, _ in zip(reading.examples["train"], range(self.texts), strict=False)]
            found = influences(base, texts, self.tokens)
            (folder / _FOUND).write_text(json.dumps(found), encoding="utf-8")

        folder = once(cache.folder("influences") / identity.of(asked)[:32], measure)
        kept: list[float] = json.loads((folder / _FOUND).read_text(encoding="utf-8"))
        return kept


@torch.no_grad()
def influences(base: Model, texts: list[str], tokens: int) -> list[float]:
    """1 - cos(before, after) of each layer, the mean over all tokens of the texts."""
    network = base.network().eval()
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
        for text in texts:
            ids = base.tokenizer(text, truncation=True, max_length=tokens, return_tensors="pt")["input_ids"]
            network(input_ids=ids, use_cache=False, logits_to_keep=1)
            count += ids.numel()
    finally:
        for handle in handles:
            handle.remove()
    return [float(total) / max(1, count) for total in totals]
