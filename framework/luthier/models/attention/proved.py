"""The layout of a network, proved on the twin of its configuration."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from luthier.errors import RecipeError
from luthier.models.attention.encoder_proof import prove_encoder_layout, trunk_of_encoder
from luthier.models.attention.layouts import Layout, Packed
from luthier.models.attention.packed import register
from luthier.models.attention.proof import built_anew, prove_layout, switched
from luthier.models.auto_class import is_encoder
from luthier.models.evaluation_mode import evaluation_mode
from luthier.models.proofs import Facts, NoTwin, proved_on_twin
from luthier.models.twin import border_of
from luthier.models.wrappers import unwrapped, virtual_token_count

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
        switched(inner, known.attention)
    if virtual_token_count(network) and (known.bidirectional or known.packed is not Packed.KERNELS):
        if known.bidirectional:
            raise RecipeError(
                f"{type(inner).__name__} is an encoder, and virtual tokens stand before texts that continue from them.",
                where="adaptation",
                hint="Choose an adaptation of its weights, such as lora or full.",
            )
        packed = Packed.LENGTHS if known.packed is Packed.LENGTHS else Packed.ROWS
        reason = "only luthier_packed puts virtual tokens before each packed sequence"
        return replace(known, packed=packed, shared_prefixes=False, reason=reason)
    return known


def architecture_layout(config: Any, attention: str, network: nn.Module | None = None) -> Layout:
    """The layout of an architecture under an attention implementation, proved once on its twin.

    Where no twin can be built, as of code that a model brings along, `network` itself is tried, if it is given: on
    texts that are too short for a border, beyond which they are refused.
    """
    try:
        return _on_twins(config, attention)
    except NoTwin:
        border = border_of(config)
        layout = _of_itself(network, attention, encoder=is_encoder(config))
        return layout if border is None else replace(layout, border=border, takes_longer=False)


def attention_to_build(config: Any, asked: str) -> str:
    """The attention implementation to build a network with: the asked one, or that which is right in its place.

    Some classes know no other than their own, and take it only as they are built.
    """
    try:
        return _on_twins(config, asked).attention
    except NoTwin:
        return asked


def _on_twins(config: Any, attention: str) -> Layout:
    register()
    border = border_of(config)
    layout = _on_twin(config, attention, within=border is not None)
    if border is None:
        return layout
    try:
        across = _on_twin(config, attention, within=False)
    except RecipeError:
        return replace(layout, border=border, takes_longer=False)
    return layout if across == layout else replace(layout, border=border)


def _on_twin(config: Any, attention: str, *, within: bool) -> Layout:
    def prove(twin: nn.Module) -> Facts:
        prover = prove_encoder_layout if is_encoder(config) else prove_layout
        with torch.autocast("cpu", enabled=False):  # whatever the run computes in: here nothing but errors may differ
            return asdict(prover(twin, attention, under=built_anew))

    kind = "encoder layout" if is_encoder(config) else "layout"
    facts = proved_on_twin(kind, config, attention, prove, within=within)
    return Layout(**facts | {"packed": Packed(facts["packed"])})  # what is proved of one twin has no border


def _of_itself(network: nn.Module | None, attention: str, *, encoder: bool) -> Layout:
    """By the network where it has weights; else what is right for every language model and encoder."""
    if network is None or any(weight.is_meta for weight in network.parameters()):
        reason = "no small twin of its configuration can be built"
        return Layout("eager", Packed.LENGTHS, bidirectional=encoder, reason=reason)
    try:
        with evaluation_mode(network), torch.enable_grad():
            if encoder:
                return prove_encoder_layout(trunk_of_encoder(network), attention)
            return prove_layout(network, attention)
    finally:
        switched(network, attention)
