"""What a training may be whose layers are split over ranks: the rest is refused before its first step."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, cast

import torch
from torch import nn

from luthier.models.experts.layers import mixture_layers
from luthier.models.wrappers import unwrapped
from luthier.training.method import Method
from luthier.training.shardable import of_adaptation, of_method, of_weights, refuse
from luthier.training.split_layers import COLUMNS, ROWS, STYLES, WHOLE_OUTSIDE, Planned, planned

_LOW_RANK = re.compile(r"\.lora_[AB]\.")
_WRAPPED = re.compile(r"\.(base_layer|original_module|modules_to_save\.[^.]+)(?=\.)")


def refuse_unsplittable(method: Method, network: nn.Module, *, ranks: int, strategy: str = "tensor_parallel") -> None:
    """RecipeError for a method that would be wrong, or wait for ever, with the layers of its network split.

    The network may be on the meta device. What the method makes when it is configured is looked at if it is there.
    """
    refuse(
        strategy,
        {
            "method": of_method(method),
            "adaptation": of_adaptation(method.adaptation, network) or _of_adapted(method, network),
            "model": of_weights(network) or _of_plan(network) or _of_sizes(network, ranks),
        },
    )


def _of_plan(network: nn.Module) -> str:
    inner = unwrapped(network)
    name = type(inner).__name__
    if mixture_layers(network):
        return f"{name} is a mixture of experts, and only dense layers are split here"
    modules = list(planned(network))
    if not modules:
        return f"transformers has no tensor-parallel plan for {name}"
    if unknown := next((one for one in modules if one.style not in STYLES), None):
        return f"transformers' plan for {name} makes {unknown.name} {unknown.style}, which is not known here"
    return ""


def _of_sizes(network: nn.Module, ranks: int) -> str:
    inner: Any = unwrapped(network)
    config = inner.config.get_text_config()
    for name in ("num_attention_heads", "num_key_value_heads"):
        count = getattr(config, name, None)
        if isinstance(count, int) and count % ranks:
            return f"{ranks} ranks split layers, and {name}={count} is no multiple of them"
    for one in (one for one in planned(network) if one.style in (COLUMNS, ROWS)):
        size = "out_features" if one.style.startswith(COLUMNS) else "in_features"
        features = getattr(one.layer, size, 0)
        if features % ranks:
            return f"{ranks} ranks split layers, and {one.name} has {features} {size}, no multiple of them"
    return ""


def _of_adapted(method: Method, network: nn.Module) -> str:
    """Weights that are beside those of the architecture, and no low-rank updates of its linear layers."""
    name, inner = type(method.adaptation).__name__, unwrapped(network)
    by_rank = "its part of a layer alone is on each rank, and of adapters only LoRA is split with it"
    if wrapped := next((one for one in planned(network) if not _is_known(one)), None):
        return f"{name} changes {wrapped.name}, and {by_rank}"
    with torch.device("meta"):
        plain: nn.Module = cast(Any, type(inner))(deepcopy(cast(Any, inner).config))
    own = {weight for weight, _ in plain.named_parameters(remove_duplicate=False)}
    weights = (weight for weight, _ in network.named_parameters() if not _LOW_RANK.search(weight))
    beside = next((weight for weight in weights if _plain_name(weight, network, inner) not in own), None)
    return f"{name} adds {beside} to the network, and {by_rank}" if beside else ""


def _is_known(one: Planned) -> bool:
    """Whether a module of the plan is as the architecture has it, or LoRA stands beside one that can be split."""
    if not hasattr(one.module, "base_layer") and not hasattr(one.module, "original_module"):
        return True
    from peft.tuners.lora import Linear

    plain = type(one.module) is Linear and not getattr(one.module, "lora_variant", None)
    return plain and one.style in (COLUMNS, ROWS, *WHOLE_OUTSIDE)


def _plain_name(name: str, network: nn.Module, inner: nn.Module) -> str:
    """What a weight is called in the network without wrappers."""
    prefix = next((f"{where}." for where, module in network.named_modules() if module is inner and where), "")
    return _WRAPPED.sub("", name.removeprefix(prefix))
