"""Ends a training in which nothing happens any more, and says who holds it up."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Literal

import psutil
import pytorch_lightning as pl

from luthier.errors import ResourceError
from luthier.plugins.blame import culprit_of
from luthier.records.events import EventLog
from luthier.training import child_processes
from luthier.training.heartbeat import Heartbeat
from luthier.training.stopped_ranks import STOPPED, StoppedRanks

Policy = Literal["end", "resume"]
GRACE = 5.0
"""Seconds that the training has to end by itself, and that a rank which waits leaves to the one it waits for."""
SIGNAL = getattr(signal, "SIGUSR2", None)


class Watchdog(pl.Callback):
    """Watches this rank from a thread; costs two assignments in each hook.

    Where no hook of a batch is reached for `seconds`, the stacks of all threads and of the data workers are written to
    `stacks`, and the training ends with a ResourceError that names the rank, what it was about to do, and the line of
    a plugin where one is on the stack. Saving a checkpoint and measuring a score may take any time. None watches
    nothing. Where a rank of this machine stands still by a signal, the one that notices it does so within seconds, and
    names it. With the policy `resume` the job then goes on from its last checkpoint, once.
    """

    def __init__(
        self, stacks: Path, events: EventLog, heartbeat: Heartbeat, seconds: float | None, policy: Policy = "end"
    ) -> None:
        self.stacks, self.events, self.heartbeat, self.seconds = stacks, events, heartbeat, seconds
        self.policy = policy
        self._others = StoppedRanks({})
        self.error: ResourceError | None = None
        self._doing, self._since = "", 0.0
        self._rank, self._world = 0, 1
        self._over = threading.Event()
        self._main, self._pid = threading.get_ident(), os.getpid()
        self._file: IO[str] | None = None
        self._former: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.seconds is None:
            return
        self._rank, self._world = trainer.global_rank, trainer.world_size
        self._main, self._pid = threading.get_ident(), os.getpid()
        self._file = self.stacks.with_name(f"{self.stacks.stem}-{self._rank}{self.stacks.suffix}").open("w")
        if SIGNAL is not None and threading.current_thread() is threading.main_thread():
            self._former = signal.signal(SIGNAL, self._told)
        child_processes.when_hung(self.policy)
        self._others = StoppedRanks(_processes(trainer))
        self._step("waiting for data")
        threading.Thread(target=self._watch, daemon=True, name="luthier-watchdog").start()

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self._step("computing the loss")

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Any) -> None:
        self._step("computing gradients")

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any) -> None:
        self._step("taking the optimizer's step")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self._step("waiting for data")

    def on_validation_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self._step("validating")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._end()

    def _step(self, doing: str) -> None:
        self._doing, self._since = doing, time.monotonic()

    def _end(self) -> None:
        self._over.set()
        if self._former is not None and SIGNAL is not None:
            signal.signal(SIGNAL, self._former)
            self._former = None
        if self._file is not None:
            self._file.close()
            self._file = None
            own = self.stacks.with_name(f"{self.stacks.stem}-{self._rank}{self.stacks.suffix}")
            if self.error is None:
                own.unlink(missing_ok=True)

    def _watch(self) -> None:
        assert self.seconds is not None
        every, seen = min(1.0, self.seconds / 4), time.monotonic()
        while not self._over.wait(every):
            now = time.monotonic()
            if now - seen > every + GRACE:  # this process stood still itself, as by Ctrl-Z
                self._since += now - seen
            seen = now
            stopped = self._others.longer_than(STOPPED - GRACE)
            if self.heartbeat.pausing:
                self._since = now
            if now - self._since > self.seconds or stopped is not None:
                self._bark(stopped)
                return

    def _bark(self, stopped: int | None) -> None:
        frame = sys._current_frames().get(self._main)
        place = culprit_of(frame) if frame is not None else ""
        if self._world > 1 and not place and stopped is None and self._over.wait(2 * GRACE):
            return  # it waited for another rank, whose own watchdog has ended all
        self.error = self._described(place) if stopped is None else self._of_stopped(stopped)
        rank = self._rank if stopped is None else stopped
        self.events.tell("hung", rank=rank, doing=self._doing, place=place, stopped=stopped is not None)
        assert self._file is not None
        faulthandler.dump_traceback(self._file)
        if SIGNAL is not None and self._former is not None:
            for worker in multiprocessing.active_children():
                os.kill(int(worker.pid or 0), SIGNAL)
            if not child_processes.may_go_on() and stopped is None:
                signal.pthread_kill(self._main, SIGNAL)  # ends what can be interrupted, as any error would
        if child_processes.may_go_on() or stopped is not None or not self._over.wait(GRACE):
            self._end_at_once(self.error)

    def _end_at_once(self, error: ResourceError) -> None:
        time.sleep(GRACE / 10)  # in which the workers write their stacks
        for worker in multiprocessing.active_children():
            worker.kill()
        if self._rank == 0:
            for process in self._others.processes.values():
                with suppress(OSError):
                    os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            child_processes.go_on_once(error)
        print(f"error: {error}", file=sys.stderr, flush=True)
        self._others.wake()  # the first rank finds this one gone, and ends the run
        os._exit(child_processes.HUNG if self._rank and child_processes.may_go_on() else error.code)

    def _described(self, place: str) -> ResourceError:
        workers = [f"{worker.pid} ({_status(worker.pid)})" for worker in multiprocessing.active_children()]
        of_workers = f"; the data workers are {', '.join(workers)}" if workers and self._doing.endswith("data") else ""
        who = f"Rank {self._rank} hangs" if self._world > 1 else "The training hangs"
        return ResourceError(
            f"{who}: {self._doing} has taken more than {self.seconds:g} s{f', in {place}' if place else ''}"
            f"{of_workers}.",
            where=place or "trainer.hang_after",
            hint=f"{self.stacks.parent}/{self.stacks.stem}-{self._rank}{self.stacks.suffix} has the stacks. Go on from "
            "the last checkpoint with resume=auto; where a step may take so long, raise trainer.hang_after.",
            resumable=True,
        )

    def _of_stopped(self, rank: int) -> ResourceError:
        own = self.stacks.with_name(f"{self.stacks.stem}-{self._rank}{self.stacks.suffix}")
        return ResourceError(
            f"Rank {rank} (process {self._others.processes[rank]}) was stopped by a signal for more than "
            f"{STOPPED - GRACE:g} s, and rank {self._rank} waits for it: {self._doing}.",
            where="trainer.devices",
            hint=f"{own.parent.name}/{own.name} has the stacks. Find who stops it; go on with resume=auto.",
            resumable=True,
        )

    def _told(self, number: int, frame: FrameType | None) -> None:
        """In a data worker: where it stands; in the training itself: the end."""
        if os.getpid() == self._pid and self.error is not None:
            raise self.error
        if self._file is not None:
            print(f"\nData worker {os.getpid()}:", file=self._file, flush=True)
            faulthandler.dump_traceback(self._file)


def _processes(trainer: pl.Trainer) -> dict[int, int]:
    """The processes of the other ranks that this one knows: those that it started, or the one that started it."""
    started = getattr(getattr(trainer.strategy, "_launcher", None), "procs", None) or ()
    first = os.environ.get("LUTHIER_PARENT")
    return {rank: one.pid for rank, one in enumerate(started, 1)} or ({0: int(first)} if first else {})


def _status(process: int | None) -> str:
    try:
        return str(psutil.Process(process).status())
    except psutil.Error:
        return "gone"
