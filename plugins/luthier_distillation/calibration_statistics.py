"""What is measured of a network on the training examples, once, and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from luthier.api import Reading, __version__, build_once, cache_folder, content_hash, example_text

if TYPE_CHECKING:
    from luthier.api import Model, Source

_FOUND = "found.json"


class OnExamples:
    """Reads the beginnings of the first `texts` training examples of `corpus`, of at most `tokens` tokens each."""

    def __init__(self, *, corpus: Any, texts: int = 32, tokens: int = 256) -> None:
        self.corpus: Source = corpus
        self.texts, self.tokens = texts, tokens

    def once(self, name: str, base: Model, measure: Callable[[nn.Module, Iterator[Tensor]], Any]) -> Any:
        """What `measure(network, batches of ids [1, n])` finds, as JSON keeps it."""
        reading = Reading.of(self.corpus)
        asked = [__version__, base.lineage(), dict(reading.digests), self.texts, self.tokens]

        def make(folder: Path) -> None:
            texts = [
                example_text(example) for example, _ in zip(reading.examples["train"], range(self.texts), strict=False)
            ]
            with torch.no_grad():
                found = measure(base.network().eval(), self._batches(base, texts))
            (folder / _FOUND).write_text(json.dumps(found), encoding="utf-8")

        folder = build_once(cache_folder(name) / content_hash(asked)[:32], make)
        return json.loads((folder / _FOUND).read_text(encoding="utf-8"))

    def _batches(self, base: Model, texts: list[str]) -> Iterator[Tensor]:
        for text in texts:
            ids: Tensor = base.tokenizer(text, truncation=True, max_length=self.tokens, return_tensors="pt")[
                "input_ids"
            ]
            if ids.numel():
                yield ids
