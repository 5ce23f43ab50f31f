"""Tiny networks with mixtures of experts, one of every architecture of transformers that has them."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from luthier.models.twin import twin_network
from tests.scripts import script

FURTHER: dict[str, dict[str, Any]] = {
    "doge": {"is_moe": True, "num_experts": 16},
    "gemma4_text": {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 2, "moe_intermediate_size": 32},
    "granitemoehybrid": {"num_local_experts": 8, "num_experts_per_tok": 2},
    "qwen4_exp_text": {"indexer_head_dim": 256},
}
"""What makes an architecture a mixture of experts that is not one by its defaults."""
ABSENT = {
    "gemma4": "its text part is gemma4_text", "gemma4_unified": "its text part is gemma4_unified_text",
    "gemma4_unified_text": "no released model of it has experts", "llama4": "its text part is llama4_text",
    "dots3_note": "its text part is dots3_note_text", "dots3_note_text": "its default heads are of no size",
    "qwen3_5_moe": "its text part is qwen3_5_moe_text", "qwen4_exp": "its text part is qwen4_exp_text",
}  # fmt: skip
"""Model types of which no tiny network is made here, and why."""
FIRST = ("mixtral", "qwen3_next", "phimoe", "jetmoe", "llama4_text", "gpt_oss", "afmoe", "dbrx")
"""One of each way in which routers and experts stand beside each other."""


@cache
def model_types() -> list[str]:
    """The model types of causal language models whose source records router logits."""
    return [
        model_type
        for model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        if model_type in CONFIG_MAPPING and model_type not in ABSENT and '"router_logits"' in _source(model_type)
    ]


def every_mixture(*, without: frozenset[str] = frozenset()) -> list[Any]:
    """Parameters for a test of every architecture; `make test` runs the first of each kind."""
    marks = {name: () if name in FIRST else (pytest.mark.exhaustive,) for name in model_types() if name not in without}
    return [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()]


def mixture(model_type: str, attention: str = "eager") -> nn.Module:
    """A tiny network with random weights, in evaluation mode; the same each time."""
    settings = script("architectures").COMPLETE.get(model_type, {}) | FURTHER.get(model_type, {})
    return twin_network(CONFIG_MAPPING[model_type](**settings), attention)


def tokens(length: int = 12, seed: int = 0) -> torch.Tensor:
    """Random tokens, int64 [1, length]."""
    return torch.randint(3, 90, (1, length), generator=torch.Generator().manual_seed(seed))


def logits(network: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Logits of a text, without gradients."""
    with torch.no_grad():
        found: torch.Tensor = network.eval()(input_ids=ids, use_cache=False).logits
    return found


def _source(model_type: str) -> str:
    module = sys.modules[CONFIG_MAPPING[model_type].__module__].__name__
    spec = find_spec(module.replace(".configuration_", ".modeling_"))
    return Path(spec.origin).read_text(encoding="utf-8") if spec is not None and spec.origin else ""
