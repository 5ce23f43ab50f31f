"""Small networks of several architectures, wide awake: their weights are large enough for answers that differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from luthier.models.random import Random
from tests.fixtures import own_cache  # noqa: F401 - a fixture

LLAMA: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen2": LLAMA | {"tie_word_embeddings": True},
    "gemma2": LLAMA | {"head_dim": 8, "sliding_window": 16, "tie_word_embeddings": False},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "initializer_range": 0.3},
    "gpt_neox": {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.3, "tie_word_embeddings": False},
}


@cache
def _made(architecture: str, attention: str) -> tuple[Any, Any]:
    model = Random(
        architecture=architecture, config=CONFIGS[architecture], vocabulary=400, attn_implementation=attention
    )
    return model.network(), model.tokenizer


@pytest.fixture
def made() -> Callable[..., tuple[Any, Any]]:
    """A network and its tokenizer; made once and shared, so leave them as they are."""
    return lambda architecture="llama", attention="luthier_packed": _made(architecture, attention)


@pytest.fixture
def questions() -> list[list[dict[str, str]]]:
    """Conversations of rather different lengths."""
    texts = ["Hi", "What is the top of a violin made of, and why?", "Count to 10.", "And the back, the neck?"]
    return [[{"role": "user", "content": text}] for text in texts]
