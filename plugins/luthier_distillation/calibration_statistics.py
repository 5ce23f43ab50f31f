"""Calibration statistics: what is measured of a network on training examples, once, and stored in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from luthier.api import Reading, __version__, build_once, cache_folder, content_hash, example_text
from luthier_distillation.activations import registered

if TYPE_CHECKING:
    from luthier.api import Model, Source

_STATISTICS = "found.json"


class CalibrationStatistics:
    """Measures on the first `tokens` tokens of each of the first `texts` training examples of `corpus`."""

    def __init__(self, *, corpus: Any, texts: int = 32, tokens: int = 256) -> None:
        self.corpus: Source = corpus
        self.texts, self.tokens = texts, tokens

    def measured(self, name: str, base: Model, measure: Callable[[nn.Module, Iterator[Tensor]], Any]) -> Any:
        """The JSON value of `measure(network, batches)`, whose batches are ids int64 [1, n]; cached under `name`."""
        reading = Reading.of(self.corpus)
        key = [__version__, base.lineage(), dict(reading.digests), self.texts, self.tokens]

        def build(folder: Path) -> None:
            texts = [
                example_text(example) for example, _ in zip(reading.examples["train"], range(self.texts), strict=False)
            ]
            with torch.no_grad():
                statistics = measure(base.network().eval(), self._batches(base, texts))
            (folder / _STATISTICS).write_text(json.dumps(statistics), encoding="utf-8")

        folder = build_once(cache_folder(name) / content_hash(key)[:32], build)
        return json.loads((folder / _STATISTICS).read_text(encoding="utf-8"))

    def _batches(self, base: Model, texts: list[str]) -> Iterator[Tensor]:
        for text in texts:
            ids: Tensor = base.tokenizer(text, truncation=True, max_length=self.tokens, return_tensors="pt")[
                "input_ids"
            ]
            if ids.numel():
                yield ids


def forward_all(network: nn.Module, batches: Iterator[Tensor], hooks: Iterable[RemovableHandle]) -> int:
    """Run the network on batches of ids [1, n] and remove the hooks; returns the number of tokens, at least 1."""
    tokens = 0
    with registered(hooks):
        for ids in batches:
            network(input_ids=ids, use_cache=False, logits_to_keep=1)
            tokens += ids.numel()
    return max(1, tokens)
