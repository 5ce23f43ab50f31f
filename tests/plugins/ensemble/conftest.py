"""Models small enough to merge by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from luthier.models.folder import Folder
from luthier.models.random import Random

SIZE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def kept(tmp_path: Path):
    """Write a random model into a folder: `kept(name, seed=1, …)` gives it as model=folder would."""

    def write(name: str, *, seed: int = 0, vocabulary: int = 300, **size: object) -> Folder:
        model = Random(config={**SIZE, **size}, seed=seed, vocabulary=vocabulary)
        network = model.network()
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.1)
        network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
        return Folder(path=str(tmp_path / name))

    return write
