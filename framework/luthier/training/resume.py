"""The checkpoint that a run resumes from: none, the newest intact one, or a named one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from luthier.errors import RecipeError
from luthier.records.events import EventLog
from luthier.training import checkpoint_files

log = logging.getLogger(__name__)


def starting_point(
    folder: Path, resume: str | None, events: EventLog, check: Callable[[Path], None] = lambda path: None
) -> Path | None:
    """The checkpoint to start from; None is the beginning. Sweeps what killed processes left in `folder` first.

    `resume` is null, which refuses to start anew over earlier checkpoints (RecipeError); auto, the newest intact one
    or the beginning where there is none; never, the beginning, removing what is there; or a checkpoint's path.
    `check` is called with the chosen one before anything is removed. Checkpoints later than it are: the run leaves
    their path.
    """
    swept = checkpoint_files.sweep(folder)
    if swept.folders:
        log.warning("Removed %d unfinished checkpoints (%d bytes) of a killed run.", swept.folders, swept.bytes)
        events.tell("swept", folders=swept.folders, bytes=swept.bytes)
    chosen = _chosen(folder, resume)
    if chosen is not None:
        check(chosen)
    step = (checkpoint_files.step_of(chosen) or 0) if chosen else 0
    if chosen is None or chosen.parent.resolve() == folder.resolve():
        left = checkpoint_files.cut(folder, step)
        if left:
            log.warning("Removed %d checkpoints after step %d: %s.", len(left), step, ", ".join(p.name for p in left))
            events.tell("cut", step=step, removed=[path.name for path in left])
    return chosen


def _chosen(folder: Path, resume: str | None) -> Path | None:
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
        return checkpoint_files.newest(folder)
    path = Path(str(resume))
    if checkpoint_files.step_of(path) is not None:
        return path
    newest = checkpoint_files.newest(path / "checkpoints" if (path / "checkpoints").is_dir() else path)
    if newest is None:
        raise RecipeError(f"There is no checkpoint in {path}.", where="resume", hint="Name a run's folder, or auto.")
    return newest
