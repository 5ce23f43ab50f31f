"""Methods on a tiny random model, and the pairs inside luthier."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.contracts.examples import Example
from luthier.models.random import Random

SIZE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model() -> Random:
    return Random(config=SIZE, vocabulary=400)


@pytest.fixture
def pairs() -> list[Example]:
    woods = ["spruce", "maple", "ebony", "willow", "rosewood", "pine"]
    return [
        {
            "messages": [{"role": "user", "content": f"What is part {number} of this old instrument made of?"}],
            "chosen": [{"role": "assistant", "content": f"It is {wood}, as it should be."}],
            "rejected": [{"role": "assistant", "content": f"Tin {'tin ' * number}."}],
            "margin": number / 2,
        }
        for number, wood in enumerate(woods)
    ]
