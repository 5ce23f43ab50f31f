"""The attention implementation of what text passes through; towers for images and sound keep their own.

A tower may know no other than its own: that of SAM, in DeepSeek-VL and others, looks its classes up in a dict.
"""

from __future__ import annotations

from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from luthier.models.modalities import names_another_modality

Implementation = str | dict[str, Any]
"""An attention implementation as transformers takes it: of all parts, or of each by its sub-configuration."""


def for_text(config: Any, attention: str) -> Implementation:
    """`attention` for the text part of a configuration alone, as `attn_implementation` of transformers says it."""
    return _for(config, config.get_text_config(), attention)


def set_text_attention(network: Any, attention: str) -> nn.Module:
    """Switch the text part of a network, with or without PEFT's wrapper, to an attention implementation."""
    network.set_attn_implementation(for_text(network.config, attention))
    return cast(nn.Module, network)


def can_switch(network: Any) -> bool:
    """Whether the attention implementation of the text part can be set after the network is built."""
    text = network.config.get_text_config()
    parts = [part for part in network.modules() if isinstance(part, PreTrainedModel) and part.config is text]
    return all(part._can_set_attn_implementation() for part in parts)  # of a network of several there may be none


def _for(config: Any, text: Any, attention: str) -> Implementation:
    parts = {name: getattr(config, name, None) for name in config.sub_configs}
    if config is not text:
        inner = {name: _for(part, text, attention) for name, part in parts.items() if _holds(part, text)}
        return {"": attention, **inner}
    others = {name for name in parts if names_another_modality(name)}
    return {"": attention, **dict.fromkeys(parts.keys() - others, attention)} if others else attention


def _holds(config: Any, text: Any) -> bool:
    return config is text or any(
        _holds(getattr(config, name, None), text) for name in getattr(config, "sub_configs", ())
    )
