"""One process for each job of a multirun, so that a job that fails, leaks or spawns ranks touches no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

from luthier.errors import ResourceError
from luthier.records.folder import RunFolder
from luthier.training import child_processes
from luthier.training.child_processes import RANK_VARIABLES, failure

PARENT = "LUTHIER_JOB_OF"
TRIAL = "LUTHIER_TRIAL"
"""Tells a job of which sweep's trial it is, as JSON: sweep, number, pruner."""
PRUNED = "pruned.json"
"""In the folder of a job that the sweep ended early: the step and the value."""
GRACE = 30
"""Seconds that a job which takes too long has between SIGTERM and SIGKILL."""
POLL = 0.2


def run_job(
    flags: Sequence[str],
    overrides: Sequence[str],
    folder: Path | str,
    *,
    timeout: float | None = None,
    trial: Mapping[str, Any] | None = None,
) -> float | None:
    """Carry out one job in its own process and return the score in its folder; None where it wrote none.

    A failed job raises the error class of its exit code, which Hydra records as a failed job; one that takes more than
    `timeout` seconds is ended, ResourceError. A signal that ends this process is forwarded to the job, which is waited
    for. A job that was begun before goes on from its last checkpoint.
    """
    place = RunFolder(Path(folder))
    place.score.unlink(missing_ok=True)
    (place.path / PRUNED).unlink(missing_ok=True)
    begun = place.resolved.is_file() and not any(word.startswith("resume=") for word in overrides)
    words = [*overrides, *(["resume=auto"] if begun else [])]
    environment = {TRIAL: json.dumps(trial)} if trial else {}
    command = child_processes.command(flags, words, folder)
    if code := process(command, timeout=timeout, environment=environment):
        raise failure(f"The job {' '.join(overrides)}", code, where=str(folder))
    return place.read_score()


def carry_out(flags: Sequence[str], overrides: Sequence[str], folder: Path | str, *, output: int | None = None) -> int:
    """Carry out one run in its own process and give its exit code; negative is the signal that killed it."""
    return process(child_processes.command(flags, overrides, folder), output=output)


def process(
    command: Sequence[str],
    *,
    output: int | None = None,
    errors: int | None = None,
    timeout: float | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Run a luthier command and return its exit code; `output` and `errors` are file descriptors for stdout and stderr.

    SIGTERM is forwarded to the child, which is waited for; when this process is killed, the child ends by itself
    (`end_with_parent`). ResourceError where it takes more than `timeout` seconds: it is then ended.
    """
    left_out = {*RANK_VARIABLES, TRIAL}
    clean = {name: value for name, value in os.environ.items() if name not in left_out}
    child = subprocess.Popen(  # noqa: S603
        command, env={**clean, PARENT: str(os.getpid()), **environment}, stdout=output, stderr=errors
    )
    with _forwarding(child) as received:
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired as error:
            _end(child)
            raise ResourceError(f"The job took more than {timeout:g} s and was ended.") from error
    if received:
        raise SystemExit(128 + received[0])
    return code


def answer(flags: Sequence[str], words: Sequence[str]) -> tuple[int, str, str]:
    """Run `luthier --json WORDS` in a process of its own: its exit code, what it printed and what it complained of."""
    command = [sys.executable, *child_processes.SAFE, "-m", "luthier", *flags, "--json", *words]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        code = process(command, output=out.fileno(), errors=err.fileno())
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


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
