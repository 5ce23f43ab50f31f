"""Small real models: a random Llama and what it leaves in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luthier.models.random import Random


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The configuration of a Llama that computes in no time."""
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
    }


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A cache of the test's own, but for tests of the real model, which is converted once for all."""
    if request.node.get_closest_marker("real"):
        return Path()
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def saved(tmp_path: Path, tiny: dict[str, Any]) -> Path:
    """A folder as transformers saves a model."""
    model = Random(config=tiny, vocabulary=400)
    model.network().save_pretrained(tmp_path / "saved")  # type: ignore[operator]
    model.tokenizer.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"
