"""The processes that a run is spread over: started before its stages, which they go through together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytorch_lightning as pl
import torch
from torch import nn

from luthier.inference.predictor import NetworkPredictor
from luthier.training import shards
from luthier.training.cluster import environments, refuse_another_number
from luthier.training.first_rank import of_first_rank, patient_group
from luthier.training.launcher import Launched
from luthier.training.sharded import Sharded
from luthier.training.shared_predictor import SharedPredictor
from luthier.training.strategies import made
from luthier.training.whole_network import make_whole

if TYPE_CHECKING:
    from luthier.training.trainer import Trainer

Result = TypeVar("Result")


class Devices:
    """What a trainer's strategy says of where networks are and who computes, from the start of a run to its end.

    Strategies whose processes Lightning starts connect them for the training alone: the first rank then does by itself
    what comes before and after.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._strategy: Launched | None = None
        self._group: Any = None
        self.shards = False
        """Whether networks that compute are in shards."""

    @property
    def are_connected(self) -> bool:
        """Whether all ranks go through the stages of this run together."""
        return self._strategy is not None

    def launch(self, function: Callable[[], Result]) -> Result:
        """Call a function in the process of each device; the first one starts the others, and waits for their end."""
        strategy = made(self.trainer.strategy)
        trainer = self.trainer
        refuse_another_number(trainer.devices, trainer.num_nodes, on_gpu=trainer.device.type == "cuda")
        if not isinstance(strategy, Launched) or not self._needs_ranks(strategy):
            return function()
        self.shards = isinstance(strategy, Sharded)

        def connected() -> Result:
            self._strategy, self._group = strategy, patient_group()
            return function()

        try:
            result: Result = strategy.launcher.launch(connected)  # type: ignore[union-attr]
            return result
        finally:
            self._strategy = self._group = None

    def _needs_ranks(self, strategy: Launched) -> bool:
        """Whether the strategy has several ranks on the trainer's devices, or connects one alone, too."""
        pl.Trainer(
            accelerator=self.trainer.accelerator, devices=self.trainer.devices, num_nodes=self.trainer.num_nodes,
            strategy=strategy, logger=False, plugins=[*environments()], enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        return strategy.world_size > 1 or strategy.needs_ranks

    def place(self, network: nn.Module) -> nn.Module:
        """The network where it computes: in shards, or whole on this rank's device."""
        if isinstance(self._strategy, Sharded):
            return self._strategy.shard(network)
        return network.to(self.home)

    @property
    def home(self) -> torch.device:
        """Where a network lies that this process holds whole."""
        return torch.device("cpu") if self.shards else self.trainer.device

    def lead(self, predictor: NetworkPredictor, work: Callable[[NetworkPredictor], Result]) -> Result | None:
        """On the first rank what `work` gives, with whose predictor all ranks compute; None on the others."""
        if self._group is None:
            return work(predictor)
        each = self._strategy.tensor_ranks if isinstance(self._strategy, Sharded) else 1
        shared = SharedPredictor(**vars(predictor), group=self._group, tensor_ranks=each)
        result: Result | None = shared.lead(work)
        return result

    def agree(self, value: Result) -> Result:
        """The value of the first rank, on all of them."""
        return value if self._group is None else of_first_rank(value, self._group)

    def bring_home(self, network: nn.Module, *, keep: bool) -> None:
        """Make a network in shards a plain one in this process's host memory, if it is kept; all ranks together."""
        if shards.is_sharded(network):
            make_whole(network, keep=keep)
