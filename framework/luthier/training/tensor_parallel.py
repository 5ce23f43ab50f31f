"""Layers that are split over ranks, which compute one batch together (Shoeybi et al., 2019), with FSDP2 or without."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from luthier.errors import RecipeError
from luthier.training import shards
from luthier.training.fsdp import Fsdp
from luthier.training.shardable import refuse_unshardable
from luthier.training.sharded import Sharded
from luthier.training.split_layers import split
from luthier.training.splittable import refuse_unsplittable


class TensorParallel(Sharded):
    """Splits the layers of a network over all ranks, by the plan that transformers has for its architecture."""

    @property
    def tensor_ranks(self) -> int:
        return self.world_size

    def shard(self, network: nn.Module) -> nn.Module:
        if shards.is_sharded(network):
            return network
        mesh = init_device_mesh(self.root_device.type, (self.world_size,), mesh_dim_names=("tensor_parallel",))
        return split(network, mesh).to(self.root_device)

    def refuse(self, method: Any, *, packing: bool) -> None:
        refuse_unsplittable(method, method.network, ranks=self.world_size)


class FsdpTensorParallel(Fsdp):
    """Splits layers over `tensor_parallel` ranks side by side, and shards these parts over the groups of ranks."""

    def __init__(self, *, tensor_parallel: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.tensor_parallel = tensor_parallel

    @property
    def tensor_ranks(self) -> int:
        return self.tensor_parallel

    def setup_environment(self) -> None:
        refuse_uneven(self.num_nodes * self.num_processes, self.tensor_parallel)
        super().setup_environment()

    def shard(self, network: nn.Module) -> nn.Module:
        if shards.is_sharded(network):
            return network
        refuse_uneven(self.world_size, self.tensor_parallel)
        shape = self.world_size // self.tensor_parallel, self.tensor_parallel
        mesh = init_device_mesh(self.root_device.type, shape, mesh_dim_names=("data_parallel", "tensor_parallel"))
        split(network, mesh["tensor_parallel"])
        return self._over(mesh["data_parallel"], network)

    def refuse(self, method: Any, *, packing: bool) -> None:
        refuse_unshardable(method, method.network, packing=packing, strategy="fsdp_tp")
        refuse_unsplittable(method, method.network, ranks=self.tensor_parallel, strategy="fsdp_tp")


def refuse_uneven(ranks: int, tensor_parallel: int) -> None:
    """RecipeError where ranks cannot be grouped into those that split layers together."""
    if ranks % tensor_parallel:
        raise RecipeError(
            f"trainer.strategy.tensor_parallel={tensor_parallel} groups ranks, and there are {ranks} of them.",
            where="trainer.strategy.tensor_parallel",
            hint="Let it divide trainer.devices times trainer.num_nodes.",
        )
