"""A network whose weights are a formula, and four pairs of token ids: the same wherever they are made."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn

PAIRS = [
    {"prompt_ids": [5, 9, 14, 3, 7], "chosen_ids": [21, 8, 2], "rejected_ids": [30, 31, 32, 33, 2]},
    {"prompt_ids": [4, 4, 11], "chosen_ids": [40, 41, 42, 43, 44, 45, 2], "rejected_ids": [40, 17, 2]},
    {"prompt_ids": [60, 1, 22, 23, 24, 25, 26, 27], "chosen_ids": [6, 2], "rejected_ids": [9, 2]},
    {"prompt_ids": [12, 13], "chosen_ids": [50, 3, 51, 2], "rejected_ids": [52, 3, 53, 54, 55, 56, 2]},
]
MARGINS = [0.5, 0.0, 2.0, 1.0]


def network(shift: float, **config: Any) -> nn.Module:
    """A Llama of two layers with weights ½ sin(3 i + shift): nothing is drawn."""
    sizes = {
        "vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    made: nn.Module = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes | config))
    with torch.no_grad():
        for number, weight in enumerate(made.parameters()):
            angles = torch.arange(weight.numel(), dtype=torch.float64) * 3 + number + shift
            weight.copy_((0.5 * angles.sin()).view_as(weight))
    return made.eval()
