"""A tiny random model, and preference pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.contracts.examples import Example
from luthier.models.random import Random


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model() -> Random:
    size = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2,
    }  # fmt: skip
    return Random(config=size, vocabulary=400)


@pytest.fixture
def pairs() -> list[Example]:
    return [
        {
            "messages": [{"role": "user", "content": f"What is part {number} of this instrument made of?"}],
            "chosen": [{"role": "assistant", "content": f"It is {wood}."}],
            "rejected": [{"role": "assistant", "content": f"Tin {'tin ' * number}."}],
            "margin": number / 2,
        }
        for number, wood in enumerate(["spruce", "maple", "ebony", "willow"])
    ]
