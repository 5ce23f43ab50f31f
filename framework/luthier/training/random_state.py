"""The random generators of every rank, so that a resumed run draws what the uninterrupted one would have drawn."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from luthier.training.ranks_of_data import tensor_ranks

log = logging.getLogger(__name__)

State = dict[str, Any]


def capture() -> State:
    """Python's, numpy's, torch's and the current CUDA device's generators; holds tensors and plain values only."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,  # type: ignore[no-untyped-call]
    }


def restore(state: State) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def on_all_ranks(own: State) -> list[State]:
    """The state of each rank, by its number; all of them must ask."""
    ranks = [own]
    if dist.is_available() and dist.is_initialized():
        ranks = [own] * dist.get_world_size()
        dist.all_gather_object(ranks, own)
    return ranks


class RandomState(pl.Callback):
    """Keeps the generators as they were after the last optimizer step, and restores them when the first batch starts.

    Validation draws from the same generators; they are put back afterwards, so that looking at held-out data more or
    less often changes nothing.
    """

    def __init__(self) -> None:
        self._boundary: State | None = None
        self._ranks: list[State] | None = None
        self._to_restore: State | None = None
        self._before_validation: State | None = None

    def remember(self) -> None:
        """An optimizer step is over: this is what a checkpoint holds until the next one is."""
        self._boundary = capture()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is drawn inside changes nothing outside."""
        before = capture()
        try:
            yield
        finally:
            restore(before)

    def state_dict(self) -> dict[str, Any]:
        return {"ranks": on_all_ranks(self._boundary or capture())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._ranks = state_dict["ranks"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        ranks = self._ranks
        if ranks is None:
            return
        if len(ranks) != trainer.world_size:
            log.warning(
                "The checkpoint is of %d processes and goes on with %d: the data keeps its order, dropout draws anew.",
                len(ranks),
                trainer.world_size,
            )
        each = tensor_ranks(trainer)  # which see the same data, and drop the same
        rank = trainer.global_rank if len(ranks) == trainer.world_size else trainer.global_rank // each * each
        if rank < len(ranks):
            self._to_restore = ranks[rank]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._to_restore is not None:
            restore(self._to_restore)
            self._to_restore = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = capture()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._before_validation is not None:
            restore(self._before_validation)
            self._before_validation = None
