"""Strategies that spread each weight over ranks, once the network is adapted; checkpoints hold it whole."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn

from luthier.training import shards
from luthier.training.launcher import Launched


class Sharded(Launched, ModelParallelStrategy):
    """Spreads a method's network over ranks, after the adaptation was applied.

    Checkpoints hold whole tensors, which are gathered one by one to the first rank. What a rank loads of them are its
    own parts.
    """

    needs_ranks = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(save_distributed_checkpoint=False, **settings)

    @property
    def tensor_ranks(self) -> int:
        """How many ranks, side by side in their order, split each layer and see the same data."""
        return 1

    @abstractmethod
    def shard(self, network: nn.Module) -> nn.Module:
        """The same network with its weights in shards on the devices; all ranks call it with the same weights."""

    @abstractmethod
    def refuse(self, method: Any, *, packing: bool) -> None:
        """RecipeError for a method that would be wrong, or wait for ever, with its network spread so."""

    @property
    def restore_checkpoint_after_setup(self) -> bool:
        """Before, as with other strategies: what callbacks remember is there when they begin."""
        return False

    def setup_environment(self) -> None:
        each = self.tensor_ranks
        self._data_parallel_size, self._tensor_parallel_size = self.num_nodes * self.num_processes // each, each
        super().setup_environment()

    def setup(self, trainer: pl.Trainer) -> None:
        """Shard the network of the method, which is configured by now."""
        method: Any = self.lightning_module
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.refuse(method, packing=data.settings.packing)
        self.shard(method.network)
        super().setup(trainer)

    def model_to_device(self) -> None:
        """What stands beside the network; offloaded shards stay where they are."""
        method: Any = self.lightning_module
        for name, child in method.named_children():
            if name != "network":
                child.to(self.root_device)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The state in shards, of which a checkpoint leaves some out before the rest is gathered."""
        assert self.lightning_module is not None
        return self.lightning_module.state_dict()

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        return getattr(optimizer, "_optimizer", optimizer).state_dict()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Gather all that is in shards, and write it on the first rank."""
        gathered = shards.gathered(checkpoint, keep=self.is_global_zero)
        if self.is_global_zero:
            self.checkpoint_io.save_checkpoint(gathered, filepath, storage_options=storage_options)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return self.checkpoint_io.load_checkpoint(Path(checkpoint_path), weights_only=weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load whole weights into the network, which is not in shards yet."""
        assert self.lightning_module is not None
        self.lightning_module.load_state_dict(checkpoint["state_dict"], strict=strict)
