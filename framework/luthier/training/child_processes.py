"""Command lines of child processes (ranks, jobs of a sweep), and errors from their exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from luthier.errors import (
    DataError,
    LuthierError,
    NumericsError,
    PluginError,
    RecipeError,
    Refused,
    ResourceError,
)

KINDS = (RecipeError, DataError, NumericsError, ResourceError, Refused, PluginError)
BY_CODE: dict[int, type[LuthierError]] = {kind.code: kind for kind in KINDS}
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LUTHIER_PARENT")
SAFE = ["-P"] if sys.version_info >= (3, 11) else []  # a file of the working folder must not stand in for a library
_this_job: list[str] | None = None


def command(flags: Sequence[str], overrides: Sequence[str], folder: Path | str) -> list[str]:
    """The command line that carries out one job in `folder`: luthier's own flags, a recipe's overrides."""
    where = f"hydra.run.dir={quoted(str(folder))}"
    return [sys.executable, *SAFE, "-m", "luthier", *flags, *overrides, where, "hydra.output_subdir=null"]


def remember(flags: Sequence[str], overrides: Sequence[str], folder: Path | str) -> None:
    """Say which job this process carries out; the command line calls it before the run starts."""
    global _this_job
    _this_job = command(flags, overrides, folder)


def this_job() -> list[str]:
    """The command that starts this process's own job once more, for another rank."""
    if _this_job is None:
        raise RecipeError(
            "Several devices need the command line: luthier starts a process for each of them.",
            hint="Run `luthier recipe=… trainer=ddp`, or start the processes with torchrun.",
        )
    return list(_this_job)


def quoted(text: str) -> str:
    """A string as Hydra's override grammar reads it back, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"') if '"' in text or text.endswith("\\") else text
    return f'"{escaped}"'


def failure(who: str, code: int, *, where: str) -> LuthierError:
    """An error of the kind that a process's exit code stands for; negative codes are signals that killed it."""
    if code < 0:
        return ResourceError(f"{who} was killed by {signal.Signals(-code).name}.", where=where)
    kind = BY_CODE.get(code, LuthierError)
    return kind(f"{who} ended with exit code {code} ({kind.kind}).", where=where, hint="Its own message is above.")
