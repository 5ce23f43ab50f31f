"""Tiny networks, and conversations for them, inside luthier."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.contracts.examples import Example
from luthier.models.random import Random
from tests.plugins.distillation.tiny_networks import SIZE


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def student() -> Random:
    return Random(config={**SIZE, "num_hidden_layers": 2}, vocabulary=400)


@pytest.fixture
def teacher() -> Random:
    return Random(config=SIZE, vocabulary=400, seed=1)


@pytest.fixture
def examples() -> list[Example]:
    woods = ["spruce", "maple", "ebony", "willow", "rosewood"]
    return [
        {
            "messages": [
                {"role": "user", "content": f"What is part {number} made of?"},
                {"role": "assistant", "content": f"It is {wood}, " + "as it should be. " * number},
            ]
        }
        for number, wood in enumerate(woods)
    ]
