"""Runs of luthier in processes of their own, forked from one that has imported what takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from luthier.errors import LuthierError, ResourceError
from luthier.training.child_processes import failure
from luthier.workflows.resume_proof import cuts
from luthier.workflows.resume_proof.cuts import Plan

METHODS = multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if "forkserver" in METHODS else "spawn")
PRELOADED = ["luthier.workflows.run", "peft", "transformers.models.llama.modeling_llama"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit code, negative for the signal that killed it, and what it said."""

    code: int
    said: str

    @property
    def last_words(self) -> str:
        """The last lines of what it said."""
        return "\n".join(self.said.strip().splitlines()[-5:])


def carry_out(words: Sequence[str], folder: Path, plan: Plan) -> Ended:
    """Run the recipe of a command line in `folder`, and what `plan` says on the way."""
    if "forkserver" in METHODS:
        CONTEXT.set_forkserver_preload(PRELOADED)
        _track_quietly()
    log = folder.with_name(f"{folder.name}.txt")
    process = CONTEXT.Process(target=_child, args=(list(words), dict(os.environ), log, plan))
    process.start()
    try:
        process.join()
    finally:
        process.kill()
    assert process.exitcode is not None
    return Ended(process.exitcode, log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def unexpected(who: str, ended: Ended) -> LuthierError:
    """The error for a process that should have ended otherwise, with its own last words."""
    if ended.code == 0:
        return ResourceError(f"{who} ended before it came to the point at which it was to be killed.")
    error = failure(who, ended.code, where="")
    error.hint = f"It said: {ended.last_words}"
    return error


def _track_quietly() -> None:
    """Start what looks after semaphores of processes: it would warn of those that killed ones leave."""
    former = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = former or f"ignore::UserWarning:{resource_tracker.__name__}"
    try:
        resource_tracker.ensure_running()
    finally:
        if former is None:
            del os.environ["PYTHONWARNINGS"]


def _child(words: list[str], environ: dict[str, str], log: Path, plan: Plan) -> None:
    os.environ.clear()
    os.environ.update(environ)
    with log.open("a", encoding="utf-8", buffering=1) as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout = sys.stderr = said
        cuts.arm(plan)
        sys.argv = ["luthier", *words]
        runpy.run_module("luthier", run_name="__main__", alter_sys=True)
