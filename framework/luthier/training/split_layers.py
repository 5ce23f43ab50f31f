"""A network whose layers are split over ranks by transformers' plan for its architecture, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor
from transformers.distributed.parallel_utils import ALL_PARALLEL_STYLES, replace_layer_number_by_wildcard

from luthier.models.wrappers import unwrapped

COLUMNS, ROWS, VOCABULARY = "colwise", "rowwise", "embedding_rowwise"
WHOLE_OUTSIDE = ("colwise_gather_output", "colwise_rep", "rowwise_split_input", "rowwise_rep")
"""What splits a layer alone: it is given whole hidden states, and gives whole ones."""
HEADS = "replicated_with_grad_allreduce"
STYLES = (COLUMNS, ROWS, VOCABULARY, *WHOLE_OUTSIDE, HEADS)
"""What can be done to a module here, as transformers names it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A module that has a place in the plan of its architecture."""

    name: str
    """Its name in the network without wrappers."""
    module: nn.Module
    style: str
    """What the plan does to it."""

    @property
    def layer(self) -> nn.Module:
        """The module itself, inside the wrapper of an adapter."""
        return cast(nn.Module, getattr(self.module, "base_layer", self.module))

    @property
    def adapters(self) -> list[nn.Module]:
        """The halves of low-rank updates beside it that are split as it is; the other halves are whole on each rank."""
        half = {COLUMNS: "lora_B", ROWS: "lora_A"}.get(self.style, "")
        return list(getattr(self.module, half, {}).values()) if half else []


def planned(network: nn.Module) -> Iterator[Planned]:
    """The modules that transformers' tensor-parallel plan for the architecture names."""
    inner = unwrapped(network)
    plan = getattr(inner, "tp_plan", None) or {}
    for name, module in inner.named_modules():
        style = plan.get(replace_layer_number_by_wildcard(name))
        if style is not None:
            yield Planned(name, module, style)


def split(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """The same network, of which each rank of a mesh keeps its part; all call it with the same weights.

    What the plan does not name is whole on each rank, which computes the same with it as the others.
    """
    known: dict[nn.Parameter, nn.Parameter] = {}
    for one in list(planned(network)):
        if one.style == HEADS:
            one.layer.forward = SplitForward(partial(_with_summed_gradients, one.layer, mesh, one.layer.forward))
            continue
        for module in (one.layer, *one.adapters):
            _split(module, one.style, mesh, known)
    return network


@dataclass(frozen=True, slots=True)
class SplitForward:
    """What answers the calls of a module of which this rank has a part, in place of its own `forward`."""

    call: Callable[..., Any]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.call(*arguments, **named)


def join(module: nn.Module) -> None:
    """Let a module answer its calls by itself again; its weights are whole by then."""
    if isinstance(vars(module).get("forward"), SplitForward):
        del module.forward


def _split(module: nn.Module, style_name: str, mesh: DeviceMesh, known: dict[nn.Parameter, nn.Parameter]) -> None:
    style: Any = ALL_PARALLEL_STYLES[style_name]
    for name, weight in list(module.named_parameters(recurse=False)):
        if weight not in known:
            style.shard_param(module, name, mesh)
            known[weight] = _parameter(cast(DTensor, module._parameters[name]))
        module._parameters[name] = known[weight]  # of tied weights the same
    style.install_forward(module, mesh)
    module.forward = SplitForward(module.forward)


def _parameter(weight: DTensor) -> nn.Parameter:
    own = nn.Parameter(_own_memory(weight), requires_grad=weight.requires_grad)
    if own.requires_grad:
        own.register_post_accumulate_grad_hook(_as_the_weight)  # type: ignore[no-untyped-call]
    return own


def _as_the_weight(weight: Tensor) -> None:
    """Spread a gradient as its weight is: that of an embedding comes whole."""
    if isinstance(weight, DTensor) and isinstance(weight.grad, DTensor) and weight.grad.placements != weight.placements:
        spread = weight.grad.redistribute(placements=weight.placements)
        weight.grad = _own_memory(spread)


def _own_memory(tensor: DTensor) -> DTensor:
    """The same, whose part is no view of the whole tensor, which would stay."""
    return DTensor.from_local(
        tensor.to_local().detach().clone(), tensor.device_mesh, tensor.placements, run_check=False,
        shape=tensor.shape, stride=tensor.stride(),
    )  # fmt: skip


def _with_summed_gradients(
    module: nn.Module, mesh: DeviceMesh, forward: Callable[..., Any], *arguments: Any, **named: Any
) -> Any:
    """Call a module that sees this rank's heads alone: the gradients of its weights are sums over ranks.

    transformers sums what is in `grad`, and so what an earlier micro-batch has left there, once more.
    """
    whole = dict(module._parameters)
    module._parameters.update({name: _sum(weight, mesh) for name, weight in whole.items() if weight is not None})
    try:
        return forward(*arguments, **named)
    finally:
        module._parameters.update(whole)


def _sum(weight: Tensor, mesh: DeviceMesh) -> Any:
    apply: Callable[..., Tensor] = _SummedGradient.apply
    return apply(weight, mesh.get_group())


class _SummedGradient(torch.autograd.Function):
    """The identity, whose gradient is summed over the ranks of a group."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor, None]:
        total = incoming.contiguous().clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None
