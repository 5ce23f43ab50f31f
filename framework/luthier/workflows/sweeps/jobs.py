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
    """Carry out one job in its own process and give the score that it left in its folder; None if it leaves none.

    A job that fails raises an error of the kind that its exit code says, which Hydra notes as a failed job. When this
    process itself is asked to end, the job is asked first and waited for.
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
    """Run a command of luthier's and give its exit code; stdout and stderr go to these file descriptors.

    When this process is asked to end, the other is asked first and waited for; when this one is killed, the other
    notices (`end_with_parent`).
    """
    clean = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
    environment = {**clean, PARENT: str(os.getpid())}
    child = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)  # noqa: S603
    with _forwarding(child) as asked:
        code = child.wait()
    if asked:
        raise SystemExit(128 + asked[0])
    return code


def end_with_parent() -> None:
    """In a process that another one of luthier's waits for: ask to end when that one is gone, however it went."""
    parent = os.environ.pop(PARENT, None)  # ranks that this process starts have another parent
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="luthier-parent").start()


@contextmanager
def _forwarding(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Hand SIGTERM on to the job; a terminal's Ctrl+C reaches it by itself. A second signal kills it."""
    asked: list[int] = []

    def arrived(number: int, frame: FrameType | None) -> None:
        if asked:
            child.kill()
        elif number == signal.SIGTERM:
            child.terminate()
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    former = {number: signal.signal(number, arrived) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
