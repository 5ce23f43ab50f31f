"""Sizes of tiny networks of several architectures, by which tests of adaptations build them."""

from __future__ import annotations

from typing import Any

GROUPED_QUERIES: dict[str, Any] = {
    "vocab_size": 67, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
PLAIN = {key: value for key, value in GROUPED_QUERIES.items() if key not in ("num_key_value_heads", "head_dim")}
GPT2 = {"vocab_size": 67, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
