"""`luthier pipeline=NAME …` on the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.errors import RecipeError
from luthier.workflows.pipelines import running
from luthier.workflows.pipelines.addressing import pipeline_of
from luthier.workflows.pipelines.running import FinishedStep

if TYPE_CHECKING:
    from luthier.cli.session import Flags
    from luthier.config.compose import Composer
    from luthier.reporting.console import Console


def run_pipeline(arguments: Namespace, flags: Flags, composer: Composer, console: Console) -> int:
    """Carry out a pipeline; `arguments` are those of Hydra's parser."""
    shows = {
        "--cfg": arguments.cfg,
        "--multirun": arguments.multirun,
        "--info": arguments.info,
        "--package": arguments.package,
    }
    if flag := next((flag for flag, value in shows.items() if value), None):
        hint = "`luthier plan pipeline=…` shows every step."
        raise RecipeError(f"{flag} is for one recipe, not for a pipeline.", where=flag, hint=hint)
    pipeline = pipeline_of(arguments.overrides, composer.catalog)
    forwarded = replace(flags, as_json=False).again(arguments.config_dir)
    done = running.run_pipeline(pipeline, composer, forwarded, console)
    record = {"pipeline": pipeline.name, "run": str(done[-1].run.folder.path), "steps": [one.as_json() for one in done]}
    talk = flags.to_paste("chat", str(done[-1].run.folder.path))
    console.data(f"{_table(done, console)}\n\ntalk to the last one:\n  {talk}", record)
    return 0


def _table(done: Sequence[FinishedStep], console: Console) -> str:
    rows = [(one.step, _score(one), "was there" if one.cached else "new", str(one.run.folder.path)) for one in done]
    return console.table(("step", "score", "", "run"), rows)


def _score(one: FinishedStep) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in one.run.score().items())
