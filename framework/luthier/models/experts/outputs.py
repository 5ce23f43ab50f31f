"""Networks whose configuration asks for router logits and the load-balancing loss in every forward pass."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn


def without_router_outputs(network: nn.Module) -> nn.Module:
    """The same network, which is called with `output_router_logits=False` where its configuration says true.

    transformers would compute the loss over the mask that it was given, which is none of [B, T] here, and for padding
    too; luthier adds it by `method.router_aux_loss_coef`. The configuration stays as it is, for whoever gets the
    network after training. A call that states it by itself is left alone.
    """
    config: Any = network.config
    if not any(getattr(one, "output_router_logits", False) for one in (config, config.get_text_config())):
        return network
    takes = inspect.signature(network.forward).parameters
    if "output_router_logits" in takes or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values()):
        network.register_forward_pre_hook(_without, with_kwargs=True)
    return network


def _without(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {"output_router_logits": False, **named}
