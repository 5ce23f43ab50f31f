"""The state of parts, such as a reward that counts what it has seen, in the checkpoints of a training."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

from luthier.contracts.training import StatefulPart
from luthier.training.heartbeat import Heartbeat
from luthier.training.random_state import on_all_ranks
from luthier.training.savable import savable

State = dict[str, Any]


class PartStates(pl.Callback):
    """Keeps the state of each part on every rank as it was after the last optimizer step, and restores it.

    `parts` are those of the recipe that have a state, by their paths in it. A rank that the saved training did not have
    begins with the state of rank 0. Validation asks the same parts; they are put back afterwards, so that looking at
    held-out data more or less often changes nothing.
    """

    def __init__(self, parts: Mapping[str, StatefulPart], heartbeat: Heartbeat) -> None:
        self.parts, self.heartbeat = parts, heartbeat
        self._boundary: State | None = None
        self._ranks: list[State] | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What the parts become inside changes nothing outside."""
        before = self._states()
        try:
            yield
        finally:
            self._restore(before)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._ranks is not None:
            self._restore(self._ranks[trainer.global_rank if trainer.global_rank < len(self._ranks) else 0])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.heartbeat.stepped:
            self._boundary = self._states()

    def state_dict(self) -> State:
        states = self._boundary or self._states()
        for path, state in states.items():
            savable(state, self.parts[path].state_dict)
        return {"ranks": on_all_ranks(states)}

    def load_state_dict(self, state_dict: State) -> None:
        self._ranks = state_dict["ranks"]

    def _restore(self, states: State) -> None:
        for path, state in states.items():
            if path in self.parts:
                self.parts[path].load_state_dict(copy.deepcopy(state))

    def _states(self) -> State:
        return {path: copy.deepcopy(part.state_dict()) for path, part in self.parts.items()}
