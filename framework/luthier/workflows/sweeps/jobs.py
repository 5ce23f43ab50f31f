"""One process for each job of a multirun, so that a job that fails, leaks or spawns ranks touches no other."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from luthier.records.folder import RunFolder
from luthier.training import child_processes
from luthier.training.child_processes import RANK_VARIABLES, failure

PARENT = "LUTHIER_JOB_OF"
POLL = 0.2


def run_job(flags: Sequence[str], overrides: Sequence[str], folder: Path | str) -> float | None:
    """Carry out one job in its own process and return the score in its folder; None where it wrote none.

    A failed job raises the error class of its exit code, which Hydra records as a failed job. A signal that ends this
    process is forwarded to the job, which is waited for.
    """
    place = RunFolder(Path(folder))
    place.score.unlink(missing_ok=True)
    if code := carry_out(flags, overrides, folder):
        raise failure(f"The job {' '.join(overrides)}", code, where=str(folder))
    return place.read_score()


def carry_out(flags: Sequence[str], overrides: Sequence[str], folder: Path | str, *, output: int | None = None) -> int:
    """Carry out one run in its own process and give its exit code; negative is the signal that killed it."""
    return process(child_processes.command(flags, overrides, folder), output=output)


def process(command: Sequence[str], *, output: int | None = None, errors: int | None = None) -> int:
    """Run a luthier command and return its exit code; `output` and `errors` are file descriptors for stdout and stderr.

    SIGTERM is forwarded to the child, which is waited for; when this process is killed, the child ends by itself
    (`end_with_parent`).
    """
    clean = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
    environment = {**clean, PARENT: str(os.getpid())}
    child = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)  # noqa: S603
    with _forwarding(child) as received:
        code = child.wait()
    if received:
        raise SystemExit(128 + received[0])
    return code


def end_with_parent() -> None:
    """In a child process of luthier: send SIGTERM to this process once its parent is gone."""
    parent = os.environ.pop(PARENT, None)  # ranks that this process starts have another parent
    if parent is None:
        return

    def wait_for_parent() -> None:
        while os.getppid() == int(parent):
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_parent, daemon=True, name="luthier-parent").start()


@contextmanager
def _forwarding(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Forward SIGTERM to the job (Ctrl+C reaches it anyway), kill it at a second signal; yields the signals."""
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        if received:
            child.kill()
        elif number == signal.SIGTERM:
            child.terminate()
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    former = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
