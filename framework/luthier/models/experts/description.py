"""What a report and a plan say of the experts of an adapted network: their share, what is trained, what is left out."""

from __future__ import annotations

from typing import Any

from torch import nn

from luthier.models.adaptation import count
from luthier.models.experts.layers import expert_count, mixture_layers, plain, routing_weights
from luthier.models.experts.tensors import fused_parameters
from luthier.models.linear_layers import beyond_adapters
from luthier.models.wrappers import unwrapped


def describe_experts(network: nn.Module) -> dict[str, str]:
    """The experts of an adapted network, by name of the fact; empty for a dense network."""
    layers = mixture_layers(network)
    if not layers:
        return {}
    experts = _expert_weights(network)
    total = count(base_weights(network).values())
    numbers = sorted({expert_count(one) for layer in layers for one in layer.experts.values()})
    of = f" of {' or '.join(map(str, numbers))} experts" if numbers else ""
    held = f", {share(count(experts.values()), total)} of all weights; {_state(network, experts)}" if experts else ""
    trained = any(weight.requires_grad for weight in routing_weights(network).values())
    return {"Experts": f"{len(layers)} layers{of}{held}", "Routers": "trained" if trained else "frozen"}


def idle_weights(network: nn.Module) -> tuple[int, int]:
    """How many weights of experts a token does not pass through, of all and of those that are trained.

    None are where the configuration does not say through how many experts it goes.
    """
    config: Any = getattr(unwrapped(network), "config", None)
    stated: Any = getattr(config.get_text_config(), "num_experts_per_tok", 0) if config is not None else 0
    per_token = stated if isinstance(stated, int) else 0
    idle = idle_trained = 0
    for experts in (one for layer in mixture_layers(network) for one in layer.experts.values() if per_token):
        share_of_others = 1 - min(1.0, per_token / max(1, expert_count(experts)))
        weights = list(experts.parameters())
        idle += round(count(weights) * share_of_others)
        idle_trained += round(count(weight for weight in weights if weight.requires_grad) * share_of_others)
    return idle, idle_trained


def describe_left_out(network: nn.Module) -> dict[str, str]:
    """What share of all weights has no adapter, by its kinds; empty for a network that PEFT does not adapt.

    Nothing is said where embeddings, the head, norms and biases are all that is left out.
    """
    adapted = adapted_weights(network)
    beyond, experts, routers = _beyond(network), _expert_weights(network), routing_weights(network)
    if not adapted or not (beyond or experts or routers):
        return {}
    base, ends = base_weights(network), _ends(network)
    kinds = {"experts": 0, "routers": 0, "embeddings and LM head": 0}
    kinds |= {"layers that an adapter cannot change": 0, "other": 0}
    for name, weight in base.items():
        if name in adapted:
            continue
        kind = (
            "experts" if name in experts else "routers" if name in routers
            else "embeddings and LM head" if id(weight) in ends
            else "layers that an adapter cannot change" if name in beyond else "other"
        )  # fmt: skip
        kinds[kind] += count([weight])
    total = count(base.values())
    parts = ", ".join(f"{kind} {share(left, total)}" for kind, left in kinds.items() if left)
    reachable = fused_parameters(network).keys() and not fused_parameters(network).keys() & adapted
    more = "; adaptation.experts=true adapts the experts" if reachable else ""
    return {"Without an adapter": f"{share(sum(kinds.values()), total)} of all weights: {parts}{more}"}


def base_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a network by the names that they have without adapters; those of adapters are not among them."""
    prefix = str(getattr(getattr(network, "base_model", None), "prefix", "")) or "\0"
    weights: dict[str, nn.Parameter] = {}
    for name, weight in unwrapped(network).named_parameters():
        words = name.split(".")
        if any(word.startswith(prefix) for word in words) or "trainable_tokens_delta" in words:
            continue
        if "original_module" in words and weight.numel():
            words.remove("original_module")
        elif "modules_to_save" in words:
            continue
        weights[".".join(word for word in words if word != "base_layer")] = weight
    return weights


def adapted_weights(network: nn.Module) -> set[str]:
    """The names of the weights of a network that an adapter of PEFT changes, or a copy of which is trained."""
    found = set()
    for path, module in unwrapped(network).named_modules():
        name = path.replace(".base_layer", "").replace(".original_module", "")
        if hasattr(module, "parameter_name"):
            found.add(f"{name}.{module.parameter_name}")
        elif hasattr(module, "base_layer"):
            found.add(f"{name}.weight")
        elif hasattr(module, "original_module"):
            found |= {f"{name}.{own}" for own, _ in module.original_module.named_parameters()}
    return found


def share(part: int, total: int) -> str:
    """A share in per cent, with two digits that say something."""
    percent = 100 * part / max(1, total)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def _expert_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    return {
        f"{name}.{own.replace('base_layer.', '')}": weight
        for layer in mixture_layers(network)
        for name, experts in layer.experts.items()
        for own, weight in plain(experts).named_parameters()
        if ".lora_" not in own
    }


def _state(network: nn.Module, experts: dict[str, nn.Parameter]) -> str:
    if any(name in experts for name in adapted_weights(network)):
        return "adapted"
    trained = [weight.requires_grad for weight in experts.values()]
    return "trained" if trained and all(trained) else "trained in part" if any(trained) else "frozen"


def _beyond(network: nn.Module) -> set[str]:
    return {f"{name}.weight" for name in beyond_adapters(unwrapped(network))}


def _ends(network: nn.Module) -> set[int]:
    root: Any = unwrapped(network)
    ends = (root.get_input_embeddings(), root.get_output_embeddings())
    return {id(weight) for end in ends if end is not None for weight in end.parameters()}
