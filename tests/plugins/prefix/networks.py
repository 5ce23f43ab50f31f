"""Tiny networks of several architectures, with weights large enough to show what they attend to, and adaptations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from luthier.contracts.batch import Row, TokenSequence
from luthier.models import attention
from luthier_prefix.p_tuning import PTuning
from luthier_prefix.prefix import Prefix
from luthier_prefix.prompt_tuning import PromptTuning
from luthier_prefix.virtual_tokens import VirtualTokens
from tests.plugins.tiny_architectures import GPT2, GROUPED_QUERIES, PLAIN

TWO_LAYERS = {"num_hidden_layers": 2}
SIZES, PLAIN_SIZES = GROUPED_QUERIES | TWO_LAYERS, PLAIN | TWO_LAYERS
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", SIZES),
    "mistral with windows": ("Mistral", SIZES | {"sliding_window": 7}),
    "qwen3 with wide heads": ("Qwen3", SIZES | {"head_dim": 16}),
    "gemma2": ("Gemma2", SIZES | {"sliding_window": 7, "attn_logit_softcapping": 0.7}),
    "gemma3": ("Gemma3Text", SIZES | {"sliding_window": 7, "num_hidden_layers": 2, "sliding_window_pattern": 2}),
    "gpt2": ("GPT2", GPT2 | {"n_layer": 2}),
    "gptneox": ("GPTNeoX", PLAIN_SIZES),
}
ANSWERS: dict[str, VirtualTokens] = {
    "prefix": Prefix(virtual_tokens=4),
    "prefix itself": Prefix(virtual_tokens=4, reparameterise=False),
    "prompt_tuning": PromptTuning(virtual_tokens=4),
    "p_tuning": PTuning(virtual_tokens=4, encoder="lstm"),
}


def build(name: str, implementation: str = "luthier_packed") -> Any:
    attention.register()
    torch.manual_seed(0)
    architecture, settings = NETWORKS[name]
    config = getattr(transformers, f"{architecture}Config")(**settings)
    network = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def adapted(answer: str, name: str = "llama", network: nn.Module | None = None) -> Any:
    """A network with random virtual tokens, large enough to change its logits."""
    network = build(name) if network is None else network
    torch.manual_seed(1)
    prefixed: Any = ANSWERS[answer](network)
    for parameter in prefixed.prompt_encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    return prefixed.eval()


def blocks(*lengths: tuple[int, ...]) -> list[list[Row]]:
    """Rows of random tokens, all of which are predicted."""
    random = np.random.default_rng(1)

    def row(length: int) -> Row:
        ids = random.integers(3, 67, length).astype(np.int32)
        return Row((TokenSequence(ids, np.ones(length, np.float32)),))

    return [[row(length) for length in block] for block in lengths]
