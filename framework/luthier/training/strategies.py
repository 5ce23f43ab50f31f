"""Distributed strategies."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from pytorch_lightning.strategies import Strategy as LightningStrategy
from pytorch_lightning.strategies import StrategyRegistry
from torch import nn

from luthier.errors import RecipeError
from luthier.plugins.returned import misreturned, returned
from luthier.training.fsdp import Fsdp
from luthier.training.launcher import Ddp
from luthier.training.shardable import refuse_offload_without_accelerator, refuse_unshardable
from luthier.training.sharded import Sharded
from luthier.training.splittable import refuse_unsplittable
from luthier.training.tensor_parallel import FsdpTensorParallel, TensorParallel, refuse_uneven

if TYPE_CHECKING:
    from luthier.training.method import Method


class Strategy(Protocol):
    """How a training is spread over devices: makes a strategy of Lightning.

    - *Given*: nothing; settings are those of the constructor, devices and accelerator those of the trainer.
    - *Returns*: a fresh `pytorch_lightning.strategies.Strategy`, or the name of one that Lightning knows. It
      averages gradients over ranks: the method then multiplies by their number.
    - *Called*: when the run begins, for the processes that it needs, and when each training begins.
    - *Ranks*: in the process that starts the others, and in each of them.
    - *Raises*: RecipeError where the machine does not have what it needs.
    - *Resume*: checkpoints hold whole weights on the first rank, so that a run goes on with another strategy.
    - *Nested*: a keyword-only parameter filled by an answer of `trainer/strategy/NAME/`.
    """

    @abstractmethod
    def __call__(self) -> LightningStrategy | str:
        """The strategy of a training."""


class Single(Strategy):
    """One device; a trainer with several refuses it."""

    def __call__(self) -> str:
        return "auto"


class DistributedDataParallel(Strategy):
    """Each device holds the whole network and a share of every batch; gradients are averaged while they are made.

    `find_unused` looks for weights that a step did not touch, at some cost. `bucket_mb` is the size of the pieces in
    which gradients travel.
    """

    def __init__(self, *, find_unused: bool = False, bucket_mb: int = 25) -> None:
        self.find_unused, self.bucket_mb = find_unused, bucket_mb

    def __call__(self) -> LightningStrategy:
        return Ddp(find_unused_parameters=self.find_unused, bucket_cap_mb=self.bucket_mb)


class ShardingStrategy(Strategy):
    """A strategy that spreads each weight over devices, so that not every training can have it."""

    @property
    def gathered(self) -> float:
        """The part of a block that a device holds while it computes; 0 where it computes with its own weights."""
        return 1.0

    @abstractmethod
    def __call__(self) -> Sharded:
        """The strategy of a training."""

    @abstractmethod
    def refuse(self, method: Method, network: nn.Module, *, packing: bool, ranks: int, device: torch.device) -> None:
        """RecipeError for a method that cannot be trained so, with an adapted network that may be on meta."""


class FullySharded(ShardingStrategy):
    """Each device holds a share of every weight, gradient and optimizer state, and gathers a block while it computes.

    Blocks are those of the architecture. With `reshard` a block's weights are let go of after its forward pass and
    gathered anew for its backward pass; without, they stay until then, which is faster and takes more memory. Weights
    are gathered in `param_dtype`, and gradients summed in `reduce_dtype`; None is the dtype of the weights. With
    `cpu_offload` shards stand in host memory and are moved by the processor; RecipeError without an accelerator.
    """

    def __init__(
        self,
        *,
        reshard: bool = True,
        param_dtype: Literal["bfloat16", "float32"] | None = None,
        reduce_dtype: Literal["bfloat16", "float32"] | None = None,
        cpu_offload: bool = False,
    ) -> None:
        self.reshard, self.cpu_offload = reshard, cpu_offload
        self.param_dtype: torch.dtype | None = getattr(torch, param_dtype) if param_dtype else None
        self.reduce_dtype: torch.dtype | None = getattr(torch, reduce_dtype) if reduce_dtype else None

    def __call__(self) -> Sharded:
        return Fsdp(
            reshard=self.reshard, param_dtype=self.param_dtype, reduce_dtype=self.reduce_dtype,
            cpu_offload=self.cpu_offload,
        )  # fmt: skip

    def refuse(self, method: Method, network: nn.Module, *, packing: bool, ranks: int, device: torch.device) -> None:
        refuse_unshardable(method, network, packing=packing)
        if self.cpu_offload:
            refuse_offload_without_accelerator(device)


class SplitLayers(ShardingStrategy):
    """All devices compute one batch together: each holds a part of every layer, by transformers' plan for it.

    Attention is split by heads, a feed-forward layer by its inner features, embeddings and head by tokens. Results
    travel twice in each layer and pass, so that it wants devices that are connected fast.
    """

    @property
    def gathered(self) -> float:
        return 0.0

    def __call__(self) -> Sharded:
        return TensorParallel()

    def refuse(self, method: Method, network: nn.Module, *, packing: bool, ranks: int, device: torch.device) -> None:
        refuse_unsplittable(method, network, ranks=ranks)


class FullyShardedSplitLayers(ShardingStrategy):
    """Groups of `tensor_parallel` devices split layers as `tensor_parallel` does, and share their parts as `fsdp` does.

    Devices of a group stand side by side, as those of one machine do. `reshard`, `param_dtype` and `reduce_dtype` are
    those of `fsdp`.
    """

    def __init__(
        self,
        *,
        tensor_parallel: int = 2,
        reshard: bool = True,
        param_dtype: Literal["bfloat16", "float32"] | None = None,
        reduce_dtype: Literal["bfloat16", "float32"] | None = None,
    ) -> None:
        if tensor_parallel < 1:
            raise RecipeError(
                f"trainer.strategy.tensor_parallel is {tensor_parallel}.",
                where="trainer.strategy.tensor_parallel",
                hint="Use 2 or more, which divides the number of devices.",
            )
        self.tensor_parallel, self.reshard = tensor_parallel, reshard
        self.param_dtype: torch.dtype | None = getattr(torch, param_dtype) if param_dtype else None
        self.reduce_dtype: torch.dtype | None = getattr(torch, reduce_dtype) if reduce_dtype else None

    @property
    def gathered(self) -> float:
        return 1 / self.tensor_parallel

    def __call__(self) -> Sharded:
        return FsdpTensorParallel(
            tensor_parallel=self.tensor_parallel, reshard=self.reshard, param_dtype=self.param_dtype,
            reduce_dtype=self.reduce_dtype,
        )  # fmt: skip

    def refuse(self, method: Method, network: nn.Module, *, packing: bool, ranks: int, device: torch.device) -> None:
        refuse_uneven(ranks, self.tensor_parallel)
        refuse_unshardable(method, network, packing=packing, strategy="fsdp_tp")
        refuse_unsplittable(method, network, ranks=self.tensor_parallel, strategy="fsdp_tp")


def made(make: Strategy) -> LightningStrategy | str:
    """What a strategy makes; PluginError where it is none, nor the name of one that Lightning has."""
    strategy = returned(make(), (str, LightningStrategy), make)
    if isinstance(strategy, str) and strategy not in ("auto", *StrategyRegistry.available_strategies()):
        raise misreturned(make, "a strategy of Lightning or the name of one", strategy)
    return strategy
