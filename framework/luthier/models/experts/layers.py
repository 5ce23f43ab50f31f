"""Finds the mixture-of-experts layers of a network: their experts, and the routers that give tokens to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from torch import nn

from luthier.models.wrappers import unwrapped

_ROUTER_CLASS = re.compile(r".*(Router|Gating|MoE\w*Gate|Moe\w*Gate)$")
_ROUTER_NAME = re.compile(r"(.*_)?router(_.*)?|gate|gating|(.*_)?experts?_gate")
"""Names of a router beside its experts, and of the gate that weights a shared expert; `gate_proj` is neither."""
_BALANCING = re.compile(r"(.*\.)?(\w*expert\w*_bias|\w*correction_bias|balancing_bias\w*)")
"""Names of a bias that shifts the choice of experts to balance their load, and gets no gradient."""


@dataclass(frozen=True)
class MixtureLayer:
    """One mixture of experts; names are those within the network that PEFT may have wrapped.

    Wrappers of PEFT stand in `experts` and `routers` in place of what they wrap; `plain` looks inside.
    """

    name: str
    """Of the module that holds routers and experts; that of a decoder layer where it holds them itself."""
    experts: dict[str, nn.Module] = field(default_factory=dict)
    """Modules with the weights of several experts each, routed or shared; a list, where each expert is a module."""
    routers: dict[str, nn.Module] = field(default_factory=dict)
    """Modules that decide which experts a token is given to, and how much each of them counts."""
    biases: dict[str, nn.Parameter] = field(default_factory=dict)
    """Parameters of the layer itself that shift the choice."""


def mixture_layers(network: nn.Module) -> list[MixtureLayer]:
    """The mixtures of experts of a network, the first layer first; empty for a dense network.

    Experts are modules of a class named `…Experts`, as transformers names those that hold the weights of all experts of
    a layer, and lists named `experts`. A router is a module beside experts whose outputs the architecture records as
    `router_logits`, or which is named as one: by its class (`…Router`, `…Gating`) or in its layer (`router`, `gate`,
    `shared_expert_gate`). Where the architecture records the whole layer, routers are its modules of such a name.
    """
    root = unwrapped(network)
    recorded = tuple(recorded_classes(root))
    found: dict[str, MixtureLayer] = {}
    for name, module in plain_modules(root):
        of = plain(module)
        experts = {child: one for child, one in of.named_children() if _holds_experts(child, plain(one))}
        whole = isinstance(of, recorded) and not _is_router("", of)
        if not experts and not whole:
            continue
        inside = of.named_children() if experts else _named_routers(of)
        layer = MixtureLayer(name, {_join(name, child): one for child, one in experts.items()})
        for child, one in inside:
            inner = plain(one)
            if child not in experts and (_is_router(child, inner) or (experts and isinstance(inner, recorded))):
                layer.routers[_join(name, child)] = one
        layer.biases.update(
            {_join(name, own): one for own, one in of.named_parameters(recurse=False) if _BALANCING.fullmatch(own)}
        )
        found[name] = layer
    return [layer for layer in found.values() if not _is_repeated(layer, found)]


def recorded_classes(network: nn.Module) -> dict[type[nn.Module], int]:
    """The classes whose output the architecture records as `router_logits`, and at which index of it they stand."""
    from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY

    classes: dict[type[nn.Module], int] = {}
    for module in network.modules():
        if not hasattr(module, "_no_split_modules"):
            continue  # not a network of transformers
        specs: Any = _CAN_RECORD_REGISTRY.get(cast(Any, module)).get("router_logits", [])
        for spec in specs if isinstance(specs, list) else [specs]:
            target = spec if isinstance(spec, type) else spec.target_class
            if target is not None:
                classes[target] = getattr(spec, "index", 1)
    return classes


def plain(module: nn.Module) -> nn.Module:
    """The module itself inside wrappers of PEFT, such as a LoRA layer or a copy that is trained."""
    while True:
        inner = _trained_copy(module) or getattr(module, "base_layer", None)
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _trained_copy(module: nn.Module) -> nn.Module | None:
    """The copy that PEFT trains in place of a module, the module itself where it is disabled; None without a copy."""
    original: nn.Module | None = getattr(module, "original_module", None)
    if original is None:
        return None
    wrapper: Any = module
    copies: Any = getattr(wrapper, "modules_to_save", {})  # a wrapper of a few trained rows has no whole copy
    active = [name for name in wrapper.active_adapters if name in copies]
    return original if wrapper.disable_adapters or not active else cast(nn.Module, copies[active[0]])


def plain_modules(network: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules of a network under the names that they have without wrappers of PEFT; wrappers come as they are."""
    yield name, network
    for child, module in plain(network).named_children():
        yield from plain_modules(module, _join(name, child))


def router_modules(network: nn.Module) -> dict[str, nn.Module]:
    """The routers of all mixtures of experts of a network, by name; empty for a dense network."""
    return {name: router for layer in mixture_layers(network) for name, router in layer.routers.items()}


def routing_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that decide which experts a token is given to and how much each counts, by name; no adapter's."""
    weights: dict[str, nn.Parameter] = {}
    for layer in mixture_layers(network):
        weights |= layer.biases
        for name, router in layer.routers.items():
            weights |= {_join(name, own): weight for own, weight in plain(router).named_parameters()}
    return weights


def freeze_routers(network: nn.Module, *, unless: bool = False) -> nn.Module:
    """The same network, with its routing weights frozen; with `unless`, only biases that never get a gradient are.

    A dense network stays as it is.
    """
    for name, weight in routing_weights(network).items():
        if not unless or _BALANCING.fullmatch(name):
            weight.requires_grad_(False)
    return network


def expert_count(experts: nn.Module) -> int:
    """The number of experts whose weights a module holds."""
    inner = plain(experts)
    if isinstance(inner, nn.ModuleList):
        return len(inner)
    stacked = [weight.shape[0] for weight in inner.parameters() if weight.ndim > 2]
    return max(stacked, default=int(getattr(inner, "num_experts", 0)))


def _holds_experts(name: str, module: nn.Module) -> bool:
    if isinstance(module, nn.ModuleList):
        return name == "experts" and len(module) > 1
    return type(module).__name__.endswith("Experts") and any(True for _ in module.parameters())


def _is_router(name: str, module: nn.Module) -> bool:
    if not any(True for _ in module.parameters()):
        return False
    return _ROUTER_NAME.fullmatch(name) is not None or _ROUTER_CLASS.fullmatch(type(module).__name__) is not None


def _named_routers(layer: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules within a layer that are named as routers, by their names within it."""
    for name, module in plain_modules(layer):
        if name and _is_router(name.rpartition(".")[2], plain(module)):
            yield name, module


def _is_repeated(layer: MixtureLayer, layers: Mapping[str, MixtureLayer]) -> bool:
    """Whether a layer that the architecture records as a whole only holds others, with routers of their own."""
    inside = [one for name, one in layers.items() if name.startswith(f"{layer.name}.")]
    return not layer.experts and any(one.routers for one in inside)


def _join(name: str, own: str) -> str:
    return f"{name}.{own}" if name else own
