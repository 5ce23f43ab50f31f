"""Carry out the steps of a pipeline, each in its own process, none of them twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.errors import LuthierError
from luthier.training.child_processes import failure
from luthier.workflows.cached_runs.cached_run import CachedRun

if TYPE_CHECKING:
    from luthier.config.compose import Composer
    from luthier.reporting.console import Console
    from luthier.workflows.pipelines.definition import Pipeline, Step


@dataclass(frozen=True)
class Done:
    """A step that is done: its run, and whether that was there already."""

    step: str
    run: CachedRun
    kept: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "recipe": self.run.composition.recipe,
            "run": str(self.run.folder.path),
            "key": self.run.key,
            "kept": self.kept,
            "seconds": round(self.seconds, 1),
            "score": self.run.score(),
        }


def run(pipeline: Pipeline, composer: Composer, flags: Sequence[str], console: Console) -> list[Done]:
    """Carry out what is not there already; the error of the step that failed, of the kind of its exit code.

    Every step is composed before the first one runs, so that a mistake in the last costs nothing.
    """
    for step in pipeline.steps:
        compose_ahead(step, composer)
    done: list[Done] = []
    folders: dict[str, str] = {}
    for number, step in enumerate(pipeline.steps, 1):
        with of_step(step.name):
            found = CachedRun.compose(composer, step.after(folders))
        began, there = time.monotonic(), found.finished
        how = "is there already" if there else "goes on …" if found.begun else "begins …"
        console.say(f"step {number} of {len(pipeline.steps)}, {step.name}: {found.folder.path} {how}")
        if not there and (code := found.carry_out(flags, console)):
            error = failure(f"The step {step.name}", code, where=str(found.folder.path))
            error.hint, error.resumable = "The same command goes on from there.", True
            raise error
        done.append(Done(step.name, found, there, time.monotonic() - began))
        folders[step.name] = str(found.folder.path)
    return done


def compose_ahead(step: Step, composer: Composer) -> CachedRun:
    """The step before those that it starts from are there: stand-ins have the place of their folders."""
    with of_step(step.name):
        return CachedRun.compose(composer, step.after({name: stand_in(name) for name in step.needs}))


def stand_in(step: str) -> str:
    return f"steps.{step}"


@contextmanager
def of_step(name: str) -> Iterator[None]:
    """Errors say which step they are about."""
    try:
        yield
    except LuthierError as error:
        error.message = f"Step {name}: {error.message}"
        raise
