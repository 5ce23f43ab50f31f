"""A training that may take so much time or disk: it saves and ends before it takes more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from luthier.disk.reading import size_of
from luthier.errors import ResourceError
from luthier.training.checkpoints import Checkpoints

MARGIN = 1.5
"""How much longer than the longest one so far a step or a checkpoint is expected to take."""


class Limits(pl.Callback):
    """Ends the training with a ResourceError, its last step saved, where the next step might pass a limit.

    `seconds` count from the start of the run, `disk` is in bytes of the run's folder, in which a checkpoint needs its
    place a second time while it is written; None is no limit. All ranks end after the same step.
    """

    def __init__(
        self, folder: Path, checkpoints: Checkpoints, *, seconds: float | None = None, disk: float | None = None,
        started: float | None = None, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.folder, self.checkpoints, self.seconds, self.disk = folder, checkpoints, seconds, disk
        self.clock = clock
        self.started = clock() if started is None else started
        self._last = self.started
        self._longest = 0.0
        self._measured: Path | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._last = self.clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.checkpoints.heartbeat.stepped or (self.seconds is None and self.disk is None):
            return
        why = self._too_long() or self._too_large()
        if not trainer.strategy.reduce_boolean_decision(bool(why), all=False):
            return
        self.checkpoints.save(trainer)
        limit = "trainer.max_disk" if why and "folder" in why else "trainer.max_seconds"
        raise ResourceError(
            f"The training ends after step {trainer.global_step}, which is saved: {why or 'another rank says so'}.",
            where=limit,
            hint="Keep fewer checkpoints with trainer.keep, or allow more, and go on with resume=auto."
            if limit.endswith("disk")
            else "Go on with resume=auto.",
            resumable=True,
        )

    def _too_long(self) -> str:
        """Why another step and its checkpoint might not end in time; empty where they do."""
        if self.seconds is None:
            return ""
        now = self.clock()
        self._longest, self._last = max(self._longest, now - self._last), now
        needed = MARGIN * (self._longest + self.checkpoints.longest_save)
        taken = now - self.started
        if taken + needed <= self.seconds:
            return ""
        return f"{taken:.0f} s of {self.seconds:g} have passed, and another step may take {needed:.1f}"

    def _too_large(self) -> str:
        """Why another checkpoint might not fit; empty where it does, or none has been written since."""
        last = self.checkpoints.last_saved
        if self.disk is None or last is None or last == self._measured:
            return ""
        self._measured = last
        used, next_one = size_of(self.folder), size_of(last)
        if used + next_one <= self.disk:
            return ""
        return (
            f"its folder takes {used / 1e6:.1f} MB of {self.disk / 1e6:.1f}, and the next checkpoint "
            f"{next_one / 1e6:.1f} more"
        )
