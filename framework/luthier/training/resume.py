"""The checkpoint that a run resumes from: none, the newest intact one, or a named one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from luthier.disk.leftovers import sweep
from luthier.errors import RecipeError
from luthier.records.events import EventLog
from luthier.training import checkpoint_files

log = logging.getLogger(__name__)


def starting_point(
    folder: Path,
    resume: str | None,
    events: EventLog,
    check: Callable[[Path], None] = lambda path: None,
    passed_over: Callable[[str], None] = log.warning,
) -> Path | None:
    """The checkpoint to start from; None is the beginning.

    `resume` is null, which refuses to start anew over earlier checkpoints (RecipeError); auto, the newest intact one
    or the beginning where there is none; never, the beginning, removing what is there; or a checkpoint's path.
    `passed_over` is told of each that is not intact, and `check` is called with the chosen one before anything is
    removed. Checkpoints later than it are: the run leaves their path.
    """
    chosen = _chosen(folder, resume, passed_over)
    if chosen is not None:
        check(chosen)
    step = (checkpoint_files.step_of(chosen) or 0) if chosen else 0
    if chosen is None or chosen.parent.resolve() == folder.resolve():
        left = checkpoint_files.cut(folder, step)
        if left:
            log.warning("Removed %d checkpoints after step %d: %s.", len(left), step, ", ".join(p.name for p in left))
            events.tell("cut", step=step, removed=[path.name for path in left])
    return chosen


def remove_leftovers(folder: Path, events: EventLog) -> None:
    """Remove what killed processes were writing anywhere in the folder of a run, and say how much that was."""
    swept = sweep(folder)
    if swept.entries:
        log.warning("Removed %d unfinished files and folders (%d bytes) of a killed run.", swept.entries, swept.bytes)
        events.tell("swept", entries=swept.entries, bytes=swept.bytes)


def _chosen(folder: Path, resume: str | None, passed_over: Callable[[str], None]) -> Path | None:
    found = checkpoint_files.checkpoints(folder)
    if resume is None and found:
        raise RecipeError(
            f"The run's folder already holds {len(found)} checkpoints, the newest of step "
            f"{checkpoint_files.step_of(found[0])}.",
            where=str(folder),
            hint="Continue with resume=auto, begin again with resume=never, or give the run another name.",
        )
    if resume in (None, "never"):
        return None
    if resume == "auto":
        return checkpoint_files.newest(folder, passed_over)
    path = Path(str(resume))
    if checkpoint_files.step_of(path) is not None:
        return path
    holds = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    newest = checkpoint_files.newest(holds, passed_over)
    if newest is None:
        raise RecipeError(f"There is no checkpoint in {path}.", where="resume", hint="Name a run's folder, or auto.")
    return newest
