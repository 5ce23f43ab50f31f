"""Command lines of child processes (ranks, jobs of a sweep), and errors from their exit codes."""

from __future__ import annotations

import os
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
from luthier.records.ranks import started_together

KINDS = (RecipeError, DataError, NumericsError, ResourceError, Refused, PluginError)
BY_CODE: dict[int, type[LuthierError]] = {kind.code: kind for kind in KINDS}
RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LUTHIER_PARENT")
SAFE = ["-P"] if sys.version_info >= (3, 11) else []  # a file of the working folder must not stand in for a library
HUNG = 105
"""The exit code of a rank that hangs and leaves it to the first one to go on."""
GONE_ON = "LUTHIER_GONE_ON"
"""The variable of a process that goes on with a job that hung: where it hangs again, it ends."""
_this_job: list[str] | None = None
_given: dict[str, str] | None = None
_goes_on = False


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


def when_hung(policy: str) -> None:
    """Say what `go_on_once` does with a job that hangs: nothing, or with `resume` go on from its last checkpoint."""
    global _goes_on
    _goes_on = policy == "resume"


def set_rank_variables(**variables: str) -> None:
    """Set variables that the ranks of this machine are found by, until `restore_rank_variables`."""
    global _given
    _given = {name: os.environ[name] for name in RANK_VARIABLES if name in os.environ}
    os.environ.update(variables)


def restore_rank_variables() -> None:
    """Give the variables back what they were: what a user said of the machines of a run stays."""
    global _given
    for name in RANK_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(_given or {})
    _given = None


def may_go_on() -> bool:
    """Whether a job that hangs is to go on from its last checkpoint, which it does once, where it is on one machine."""
    given = os.environ if _given is None else _given
    is_of_several_machines = "NODE_RANK" in given and "LUTHIER_PARENT" not in os.environ
    by_others = started_together()[1] > 1 or is_of_several_machines
    return _goes_on and GONE_ON not in os.environ and _this_job is not None and not by_others


def go_on_once(error: LuthierError) -> None:
    """Become a process that resumes this job, where that is the policy and was not done before; else do nothing.

    What holds the job up may be deaf to exceptions, so nothing is ended in order: it is as after a kill.
    """
    if not may_go_on():
        return
    words = [word for word in this_job() if not word.startswith("resume=")]
    print(f"warning: {error} It goes on from the last checkpoint (trainer.when_hung).", file=sys.stderr, flush=True)
    environment = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
    os.execve(words[0], [*words, "resume=auto"], {**environment, GONE_ON: "1"})  # noqa: S606 - our own command line


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
