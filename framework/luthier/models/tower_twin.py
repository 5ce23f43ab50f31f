"""The twin of a network that reads more than text: its own classes around a narrow text tower, the others of zeros."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from luthier.models.auto_class import auto_class, is_multimodal
from luthier.models.modalities import other_modalities, within
from luthier.models.text_attention import for_text

if TYPE_CHECKING:
    from transformers import PretrainedConfig

MOST_WEIGHTS = 50_000_000
"""A twin with more is none: its text tower could not be told apart from the others."""


def has_other_towers(config: PretrainedConfig) -> bool:
    """Whether the network of a configuration has a text tower with a configuration of its own, beside others."""
    return is_multimodal(config) and config.get_text_config() is not config


def with_text(config: PretrainedConfig, text: PretrainedConfig) -> PretrainedConfig:
    """A copy of a configuration with another text tower."""
    whole, before = deepcopy(config), config.get_text_config()
    name = next(name for name in config.sub_configs if getattr(config, name, None) is before)
    setattr(whole, name, text)
    whole.architectures = config.architectures
    return whole


def with_towers_of_zeros(config: PretrainedConfig, attention: str) -> Any:
    """The network of a configuration, float32 on the CPU, whose weights that no text passes through are zeros.

    It is laid out on the meta device first, so that towers as large as a model's own cost no memory.
    """
    with torch.device("meta"):
        whole: Any = auto_class(config).from_config(deepcopy(config), attn_implementation=for_text(config, attention))
    parts = other_modalities(whole)
    _check_size(whole, parts)
    tied = whole.get_input_embeddings().weight is whole.get_output_embeddings().weight
    decoder = whole.get_decoder()
    name = next(name for name, module in whole.named_modules() if module is decoder)
    whole.set_submodule(name, type(decoder)(decoder.config).to(torch.float32))
    for name, weight in list(whole.named_parameters()):
        holder, own = whole.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        if within(name, parts):
            setattr(holder, own, nn.Parameter(_zeros(weight), requires_grad=False))
        elif weight.is_meta:
            setattr(holder, own, nn.Parameter(torch.randn(weight.shape) / weight.shape[-1] ** 0.5))
    for name, buffer in list(whole.named_buffers()):
        if buffer.is_meta:
            setattr(whole.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], _zeros(buffer))
    if tied:
        whole.get_output_embeddings().weight = whole.get_input_embeddings().weight
    return whole


def _zeros(like: Tensor) -> Tensor:
    """Zeros of a shape that share the memory of one: some networks call a small part of a tower whatever they read."""
    return torch.zeros((), dtype=like.dtype).expand(like.shape)


def _check_size(whole: nn.Module, parts: list[str]) -> None:
    text = sum(weight.numel() for name, weight in whole.named_parameters() if not within(name, parts))
    if text > MOST_WEIGHTS:
        raise ValueError(f"The text tower of {type(whole).__name__} has {text:,} weights, which is no small twin.")
