"""The layout of a network, proved on the twin of its configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from luthier.models.attention.layouts import Layout, Packed
from luthier.models.attention.packed import register
from luthier.models.attention.proof import prove_layout, switch
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.proofs import NoTwin, proved_on_twin
from luthier.models.wrappers import unwrapped

_proved: WeakKeyDictionary[nn.Module, Layout] = WeakKeyDictionary()
"""What was found out in this process; it follows from the network alone and can be found out again."""


def layout_of(network: nn.Module) -> Layout:
    """How packed sequences are laid out for a network, with or without PEFT's wrapper; sets its attention to that.

    RecipeError where the network is no causal language model, or computes packed sequences right in no way.
    """
    inner: Any = unwrapped(network)
    made: Layout | None = getattr(inner, "layout", None)  # of a network that is made of several
    if made is not None:
        return made
    attention = inner.config.get_text_config()._attn_implementation
    known = _proved.get(inner)
    if known is None or known.attention != attention:
        known = _proved[inner] = architecture_layout(inner.config, attention, inner)
        switch(inner, known.attention)
    return known


def architecture_layout(config: Any, attention: str, network: nn.Module | None = None) -> Layout:
    """The layout of an architecture under an attention implementation, proved once on its twin.

    Where no twin can be built, as of code that a model brings along, `network` itself is tried, if it is given.
    """
    register()
    try:
        facts = proved_on_twin("layout", config, attention, lambda twin: asdict(prove_layout(twin, attention)))
    except NoTwin:
        return _of_itself(network, attention)
    return Layout(**facts | {"packed": Packed(facts["packed"])})


def _of_itself(network: nn.Module | None, attention: str) -> Layout:
    """By the network where it has weights; else what is right for every causal language model."""
    if network is None or any(weight.is_meta for weight in network.parameters()):
        return Layout("eager", Packed.LENGTHS, reason="no small twin of its configuration can be built")
    try:
        with evaluation_mode(network), torch.enable_grad():
            return prove_layout(network, attention)
    finally:
        switch(network, attention)
