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
class FinishedStep:
    """A finished step: its run, and whether that was cached."""

    step: str
    run: CachedRun
    cached: bool
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "recipe": self.run.composition.recipe,
            "run": str(self.run.folder.path),
            "key": self.run.key,
            "kept": self.cached,
            "seconds": round(self.seconds, 1),
            "score": self.run.score(),
        }


def run_pipeline(pipeline: Pipeline, composer: Composer, flags: Sequence[str], console: Console) -> list[FinishedStep]:
    """Carry out the steps that are not cached; raises the error of the step that failed, by its exit code.

    Every step is composed before the first one runs, so that an error in the last costs nothing.
    """
    for step in pipeline.steps:
        compose_ahead(step, composer)
    done: list[FinishedStep] = []
    folders: dict[str, str] = {}
    for number, step in enumerate(pipeline.steps, 1):
        with naming_step(step.name):
            cached_run = CachedRun.compose(composer, step.after(folders))
        began, is_cached = time.monotonic(), cached_run.is_finished
        how = "is there already" if is_cached else "goes on …" if cached_run.is_resumable else "begins …"
        console.say(f"step {number} of {len(pipeline.steps)}, {step.name}: {cached_run.folder.path} {how}")
        if not is_cached and (code := cached_run.carry_out(flags, console)):
            error = failure(f"The step {step.name}", code, where=str(cached_run.folder.path))
            error.hint, error.resumable = "The same command continues from there.", True
            raise error
        done.append(FinishedStep(step.name, cached_run, is_cached, time.monotonic() - began))
        folders[step.name] = str(cached_run.folder.path)
    return done


def compose_ahead(step: Step, composer: Composer) -> CachedRun:
    """Compose a step before the steps that it depends on have run, with placeholders for their folders."""
    with naming_step(step.name):
        return CachedRun.compose(composer, step.after({name: placeholder_folder(name) for name in step.needs}))


def placeholder_folder(step: str) -> str:
    return f"steps.{step}"


@contextmanager
def naming_step(name: str) -> Iterator[None]:
    """Prefix errors with the name of the step."""
    try:
        yield
    except LuthierError as error:
        error.message = f"Step {name}: {error.message}"
        raise
