"""Ranks on one machine: a process for each, started by the command line of the job and ended together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch.distributed as dist
from lightning_fabric.utilities.distributed import _init_dist_connection, _set_num_threads_if_needed
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from luthier.errors import LuthierError, ResourceError
from luthier.training.child_processes import (
    HUNG,
    failure,
    go_on_once,
    restore_rank_variables,
    set_rank_variables,
    this_job,
)  # fmt: skip
from luthier.training.stopped_ranks import STOP, STOPPED, StoppedRanks

POLL = 0.2
GRACE = 5.0
GOODBYE = 30.0
STDERR = 2

if TYPE_CHECKING:
    _Strategy = DDPStrategy
else:
    _Strategy = object


class Launched(_Strategy):
    """A strategy whose ranks are jobs of luthier, connected for as long as its launcher lasts.

    Put it before a strategy of Lightning that has a process for each device.
    """

    needs_ranks = False
    """Whether one process alone must be connected, too."""

    def __init__(self, *, command: Callable[[], list[str]] = this_job, **settings: Any) -> None:
        super().__init__(**settings)
        self._command = command

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Ranks(self.cluster_environment, self.num_processes, self.num_nodes)
        self._launcher.command = self._command
        self._launcher.join = self.join

    def join(self) -> None:
        """Join the process group of all ranks."""
        assert self.accelerator is not None
        assert self.cluster_environment is not None
        self.accelerator.setup_device(self.root_device)
        self.set_world_ranks()
        _init_dist_connection(self.cluster_environment, self._get_process_group_backend(), timeout=self._timeout)

    def teardown(self) -> None:
        """Let go of the network, whose collectives may wait for a rank that died, and then of the other ranks."""
        super().teardown()
        if isinstance(self._launcher, Ranks):
            self._launcher.leave()


class Ddp(Launched, DDPStrategy):
    """Distributed data parallel: each rank holds the whole network."""


class Ranks(_SubprocessScriptLauncher):
    """Starts the other ranks and watches them: one that dies takes all down within seconds, with its own exit code.

    Within a launch, another one calls its function on the ranks that there are. What was not connected before a launch
    is not connected after it, and no variables of it are left; a trainer of Lightning is connected until it tears its
    strategy down.
    """

    command: Callable[[], list[str]] = staticmethod(this_job)
    join: Callable[[], None]
    joined = False
    """Whether this launcher has connected the process."""

    def launch(self, function: Callable[..., Any], *args: Any, trainer: Any = None, **settings: Any) -> Any:
        """Call `function` beside the other ranks; the error of a rank that died replaces what its death caused here."""
        if dist.is_initialized():
            return function(*args, **settings)
        _set_num_threads_if_needed(num_processes=self.num_processes)
        if self.cluster_environment.creates_processes_externally:
            follow_parent()
            try:
                return self._connected(trainer, function, *args, **settings)
            except Exception as error:
                if (lost := _lost(error)) is None:
                    raise
                raise lost from error
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        self._call_children_scripts()
        watch = Watch(self.procs)
        watch.start()
        try:
            result = self._connected(trainer, function, *args, **settings)
            watch.over.set()
            self._wait(GOODBYE)
            return result
        except Exception as error:
            died = None if isinstance(error, LuthierError) else watch.first_failure(GRACE) or _lost(error)
            if died is None:
                raise
            raise died from error
        finally:
            watch.over.set()
            self._wait(GRACE)
            self._end()

    def _connected(self, trainer: Any, function: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        self.joined = True
        try:
            self.join()
            return function(*args, **settings)
        finally:
            if trainer is None:
                self.leave()

    def leave(self) -> None:
        """Leave the process group, if it was joined here."""
        if self.joined and dist.is_initialized():
            dist.destroy_process_group()
        self.joined = False

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        self.procs = []
        environment = self.cluster_environment
        set_rank_variables(
            MASTER_ADDR=environment.main_address,
            MASTER_PORT=str(environment.main_port),
            NODE_RANK=str(environment.node_rank()),
            LOCAL_RANK="0",
            WORLD_SIZE=str(self.num_processes * self.num_nodes),
        )
        for rank in range(1, self.num_processes):
            own = {**os.environ, "LOCAL_RANK": str(rank), "LUTHIER_PARENT": str(os.getpid())}
            self.procs.append(subprocess.Popen(self.command(), env=own, stdout=STDERR))  # noqa: S603

    def _wait(self, seconds: float) -> None:
        """Let the ranks end by themselves for a while."""
        until = time.monotonic() + seconds
        while any(process.poll() is None for process in self.procs) and time.monotonic() < until:
            time.sleep(POLL / 4)

    def _end(self) -> None:
        for process in self.procs:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.procs = []
        restore_rank_variables()


class Watch(threading.Thread):
    """Looks after the other ranks; when one fails and this process does not end by itself, ends all of them.

    A rank that waits in a collective for one that is gone may wait for half an hour, deaf to exceptions.
    """

    def __init__(self, ranks: list[subprocess.Popen[bytes]]) -> None:
        super().__init__(daemon=True, name="luthier-ranks")
        self.ranks, self.over = ranks, threading.Event()
        self.failed: tuple[int, int] | None = None
        self._stopped = StoppedRanks({rank: process.pid for rank, process in enumerate(ranks, 1)})

    def run(self) -> None:
        while not self.over.wait(POLL):
            if self._look():
                if not self.over.wait(GRACE):
                    self._end_all()
                return

    def first_failure(self, seconds: float) -> LuthierError | None:
        """The error of the rank that failed first, waiting a while for one to show; None if all are well."""
        until = time.monotonic() + seconds
        while not self._look() and time.monotonic() < until:
            time.sleep(POLL / 4)
        if self.failed is None:
            return None
        rank, code = self.failed
        if code == STOP:
            return ResourceError(
                f"Rank {rank} was stopped by a signal for more than {STOPPED:g} s, and the others wait for it.",
                where="trainer.devices",
                hint="Find who stops it; go on with resume=auto.",
                resumable=True,
            )
        if code == HUNG:
            return ResourceError(f"Rank {rank} hangs.", where="trainer.hang_after", resumable=True)
        return failure(f"Rank {rank}", code, where="trainer.devices")

    def _look(self) -> bool:
        for rank, process in enumerate(self.ranks, 1):
            if self.failed is None and process.poll():
                self.failed = rank, int(process.returncode)
        if self.failed is None and (stopped := self._stopped.longer_than(STOPPED)) is not None:
            self.failed = stopped, STOP
        return self.failed is not None

    def _end_all(self) -> None:
        error = self.first_failure(0)
        assert error is not None
        for process in self.ranks:
            process.kill()
        if self.failed is not None and self.failed[1] in (STOP, HUNG):
            go_on_once(error)
        try:
            print(f"error: {error}", file=sys.stderr, flush=True)
        finally:  # nobody may be there to hear it
            os._exit(error.code)


def _lost(error: Exception) -> ResourceError | None:
    """An error of the network between ranks as one of the machine; None for any other."""
    of_network = isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
    if not of_network:
        return None
    said = re.sub(r"^\[[^]]*\] ", "", str(error)).splitlines()[0].partition(". ")[0]  # without a line of their code
    return ResourceError(
        f"The connection to another rank was lost, or never made: {said}.",
        where="trainer.num_nodes",
        hint="See what the other ranks say; go on with resume=auto.",
        resumable=True,
    )


def follow_parent() -> None:
    """In a rank that another one started: end when that one is gone, however it went."""
    parent = os.environ.get("LUTHIER_PARENT")
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(POLL)
        os._exit(143)

    threading.Thread(target=watch, daemon=True, name="luthier-parent").start()
