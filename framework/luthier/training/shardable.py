"""What a training may be whose weights lie in shards: the rest is refused before its first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from luthier.contracts.adaptation import Adaptation
from luthier.errors import RecipeError
from luthier.models.attention import layout_of
from luthier.models.lm_head import WholeHead
from luthier.training.likelihood_method import RoutingCount
from luthier.training.method import Method

HINT = "Use trainer=ddp, in which each device holds the whole network."


def refuse_unshardable(method: Method, network: nn.Module, *, packing: bool, strategy: str = "fsdp") -> None:
    """RecipeError for a method that would be wrong, or wait for ever, with its adapted network in shards.

    The network may be on the meta device. What the method makes when it is configured is looked at if it is there.
    """
    refuse(
        strategy,
        {
            "method": of_method(method),
            "adaptation": of_adaptation(method.adaptation, network),
            "model": of_weights(network) or _of_network(method, network),
            "batch.packing": _of_passes(network) if packing else "",
        },
    )


def refuse(strategy: str, reasons: Mapping[str, str]) -> None:
    """RecipeError with the first of some reasons, by the part of the recipe they are about; empty ones are none."""
    for where, why in reasons.items():
        if why:
            raise RecipeError(f"trainer/strategy={strategy} cannot train this: {why}.", where=where, hint=HINT)


def of_method(method: Method) -> str:
    """What a method does that ranks with parts of a network cannot; empty for one that they can train."""
    name = type(method).__name__
    if method.preparation and not isinstance(method.preparation, RoutingCount):
        return (
            f"{name} calls the network between the steps as often as its data asks for, and all devices must call a "
            "network in shards equally often"
        )
    if not method.is_loaded:
        return ""
    inside = set(method.network.parameters())
    beside = next((weight for weight, each in method.trainable_weights() if each not in inside), None)
    return f"{name} trains {beside} beside the network, and only the network is in shards" if beside else ""


def of_adaptation(adaptation: Adaptation, network: nn.Module) -> str:
    """What an adaptation does to whole weights; empty for one that does nothing to them between the steps."""
    name = type(adaptation).__name__
    if adaptation.callbacks():
        return f"{name} acts on whole weights between the steps"
    if adaptation.penalty(network) is not None:
        return f"{name} adds a penalty on whole weights to the loss"
    return ""


def of_weights(network: nn.Module) -> str:
    """Which weights cannot be cut; empty where all can."""
    weights = network.named_parameters()
    packed = next((name for name, weight in weights if not weight.is_floating_point()), None)
    return f"{packed} is quantized, and holds no numbers of its own that could be cut into shards" if packed else ""


def _of_network(method: Method, network: nn.Module) -> str:
    dtypes = {weight.dtype for weight in network.parameters() if weight.requires_grad}
    if len(dtypes) > 1:
        listed = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        return f"its trained weights are {listed}, and the gradients of a block travel together in one dtype"
    head: Any = getattr(method, "head", None)
    if head is not None and isinstance(head.module, WholeHead):
        return "the network does more between its hidden states and its logits than a head, so that it is called anew"
    return ""


def _of_passes(network: nn.Module) -> str:
    if not hasattr(network, "config") and not hasattr(network, "get_base_model"):
        return ""
    layout = layout_of(network)
    if layout.packs and layout.border is None:
        return ""
    return (
        f"packed texts of this network are computed {layout.packed}, in as many calls as a batch has lengths, and all "
        "devices must call a network in shards equally often"
    )


def refuse_offload_without_accelerator(device: torch.device) -> None:
    """RecipeError where there is no accelerator from which weights could be offloaded."""
    if device.type == "cpu":
        raise RecipeError(
            "trainer.strategy.cpu_offload keeps weights in host memory while an accelerator computes; there is none.",
            where="trainer.strategy.cpu_offload",
            hint="Leave it false.",
        )
