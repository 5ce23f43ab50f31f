"""Tensors that are spread over ranks in shards: whole ones of them, this rank's own part, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor; of one in shards, all ranks ask together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def own(tensor: Tensor) -> Tensor:
    """This rank's part, of which a change in place is one of the tensor; it may be empty."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def as_spread(tensor: Tensor, other: Tensor) -> Tensor:
    """A whole tensor, which each rank has, spread over them as `other` is; without communication."""
    if not isinstance(other, DTensor) or isinstance(tensor, DTensor):
        return tensor
    local = tensor.to(other.device)
    return distribute_tensor(local, other.device_mesh, other.placements, src_data_rank=None)


def spread(state: Mapping[str, Tensor], here: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state of whole tensors, each spread as the one of its name is `here`."""
    return {name: as_spread(value, here[name]) if name in here else value for name, value in state.items()}


def gathered(state: Any, *, keep: bool) -> Any:
    """A nested state with whole tensors on the CPU in place of those in shards, one by one.

    All ranks ask together, with their states in one order; those that do not `keep` them get empty ones.
    """
    known: dict[Any, Tensor] = {}

    def value(one: Any) -> Any:
        if isinstance(one, DTensor):
            memory = _memory(one.to_local())
            if memory not in known:
                full = one.full_tensor()
                known[memory] = full.cpu() if keep else full.new_empty(0)
            return known[memory]
        if type(one) in (list, tuple):
            return type(one)(value(item) for item in one)
        if isinstance(one, dict):
            made = {key: value(item) for key, item in one.items()}
            return made if type(one) is dict else _like(one, made)
        return one

    return value(state)


def _memory(part: Tensor) -> tuple[Any, ...]:
    """What tells whether two parts are one, as those of tied weights are: empty ones, too, on all ranks alike."""
    return part.untyped_storage()._cdata, part.storage_offset(), part.shape


def _like(one: dict[Any, Any], made: dict[Any, Any]) -> dict[Any, Any]:
    """The same kind of dictionary, with what torch notes in one beside its items."""
    result = type(one)(made)
    vars(result).update(getattr(one, "__dict__", {}))
    return result


def over_ranks(sums: Tensor, tensors: Iterable[Tensor]) -> Tensor:
    """Sums over the own part of each tensor, [n, …], as those over the whole ones; changed in place.

    A tensor may be in shards over some dimensions of a mesh, and whole over others: there each rank has its sum.
    """
    cut: dict[tuple[DeviceMesh, int], list[int]] = {}
    for number, tensor in enumerate(tensors):
        for dimension, placement in enumerate(tensor.placements if isinstance(tensor, DTensor) else ()):
            if not placement.is_replicate():
                cut.setdefault((cast(DTensor, tensor).device_mesh, dimension), []).append(number)
    for (mesh, dimension), numbers in cut.items():
        part = sums[numbers]
        dist.all_reduce(part, group=mesh.get_group(dimension))
        sums[numbers] = part
    return sums


def magnitudes(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of absolute values of each tensor, [n]: 0 where all are, not finite where one is not."""
    sums = torch.stack(torch._foreach_norm([own(tensor) for tensor in tensors], 1))
    return over_ranks(sums, tensors)


def is_zero(tensor: Tensor) -> bool:
    """Whether all of a tensor is 0."""
    return not over_ranks(own(tensor).any().int().view(1), [tensor])


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The norm of all gradients together, a scalar that all ranks have."""
    if not any(isinstance(gradient, DTensor) for gradient in gradients):
        return torch.nn.utils.get_total_norm(gradients)
    norms = torch._foreach_norm([own(gradient).float() for gradient in gradients])
    return over_ranks(torch.stack(norms).square(), gradients).sum().sqrt()


def mesh_of(tensor: Tensor) -> DeviceMesh | None:
    """The ranks over which a tensor is spread, as a mesh; None for one that each rank has whole."""
    return tensor.device_mesh if isinstance(tensor, DTensor) else None


def reshard(module: nn.Module) -> None:
    """Let go of the whole weights that a forward pass without a backward pass has left."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def is_sharded(module: nn.Module) -> bool:
    """Whether some of its weights are in shards."""
    return any(isinstance(weight, DTensor) for weight in module.parameters())
