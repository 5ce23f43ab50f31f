"""Documents of a made-up domain, models of two layers, and sources of given examples."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from luthier.contracts.examples import Example
from luthier.models.random import Random

WORDS = [
    "soundpost",
    "purfling",
    "bassbar",
    "tailpiece",
    "fingerboard",
    "scroll",
    "varnish",
    "spruce",
    "maple",
    "rosin",
]
COMMON = ["the", "of", "a", "and", "is", "in", "with", "for", "on", "by", "from", "under", "over", "it", "that"]
SIZE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip


def documents(count: int, *, seed: int = 0, most: int = 200) -> list[str]:
    """Sentences of a violin maker who says nothing, all different."""
    chance = random.Random(seed)
    return [
        f"Note {number}. " + " ".join(chance.choice(WORDS + COMMON) for _ in range(chance.randint(20, most))) + "."
        for number in range(count)
    ]


def tiny(*, tie: bool = True, vocabulary: int = 400, architecture: str = "llama", **settings: Any) -> Random:
    return Random(
        architecture=architecture, config={**SIZE, "tie_word_embeddings": tie}, vocabulary=vocabulary, **settings
    )


class Texts:
    """A source of texts."""

    def __init__(self, texts: list[str], *, split: str = "train", named: str = "f") -> None:
        self.texts, self.split, self.named = texts, split, named
        self.read = 0
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[Example]:
        self.read += 1
        for number, text in enumerate(self.texts, 1):
            yield {"text": text, "split": self.split, "where": f"{self.named}:{number}"}

    @property
    def counts(self) -> dict[str, int]:
        return {"read": len(self.texts), "examples": len(self.texts), self.split: len(self.texts)}

    def fingerprint(self) -> dict[str, Any]:
        return {"sha256": self.named}

    def quarantine_into(self, folder: object) -> None:
        pass
