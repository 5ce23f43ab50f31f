"""Weights, gradients and optimizer states in shards over the ranks (FSDP2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard

from luthier.models.loading import decoder_layers
from luthier.training import shards
from luthier.training.shardable import refuse_offload_without_accelerator, refuse_unshardable
from luthier.training.sharded import Sharded


class Fsdp(Sharded):
    """Shards a network over all ranks: by its blocks, then the rest."""

    def __init__(
        self, *, reshard: bool = True, param_dtype: torch.dtype | None = None, reduce_dtype: torch.dtype | None = None,
        cpu_offload: bool = False, **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(**settings)
        self.reshard, self.cpu_offload = reshard, cpu_offload
        self.mixed = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=reduce_dtype)

    def shard(self, network: nn.Module) -> nn.Module:
        if shards.is_sharded(network):
            return network
        if self.cpu_offload:
            refuse_offload_without_accelerator(self.root_device)
        mesh = init_device_mesh(self.root_device.type, (self.world_size,), mesh_dim_names=("data_parallel",))
        return self._over(mesh, network)

    def _over(self, mesh: DeviceMesh, network: nn.Module) -> nn.Module:
        """The network with its weights in shards over a mesh of one dimension."""
        offload: OffloadPolicy = CPUOffloadPolicy() if self.cpu_offload else OffloadPolicy()
        settings: dict[str, Any] = {"mesh": mesh, "mp_policy": self.mixed, "offload_policy": offload}
        for layer in reversed(decoder_layers(network)):  # one inside of another comes first
            fully_shard(layer, reshard_after_forward=self.reshard, **settings)
        fully_shard(network, **settings)
        return network

    def refuse(self, method: Any, *, packing: bool) -> None:
        refuse_unshardable(method, method.network, packing=packing)
