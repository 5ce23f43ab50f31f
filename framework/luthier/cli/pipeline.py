"""`luthier pipeline=NAME …` on the command line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.errors import RecipeError
from luthier.workflows.pipelines.addressing import asked_for
from luthier.workflows.pipelines.running import Done, run

if TYPE_CHECKING:
    from luthier.cli.session import Flags
    from luthier.config.compose import Composer
    from luthier.reporting.console import Console


def run_pipeline(asked: Namespace, flags: Flags, composer: Composer, console: Console) -> int:
    """Carry out a pipeline; `asked` is what Hydra's parser made of the command line."""
    shows = {"--cfg": asked.cfg, "--multirun": asked.multirun, "--info": asked.info, "--package": asked.package}
    if said := next((flag for flag, value in shows.items() if value), None):
        hint = "`luthier plan pipeline=…` shows every step."
        raise RecipeError(f"{said} is for one recipe, not for a pipeline.", where=said, hint=hint)
    pipeline = asked_for(asked.overrides, composer.catalog)
    own = [*replace(flags, as_json=False).again(), *(["--config-dir", asked.config_dir] if asked.config_dir else [])]
    done = run(pipeline, composer, own, console)
    record = {"pipeline": pipeline.name, "run": str(done[-1].run.folder.path), "steps": [one.as_json() for one in done]}
    console.data(_page(done, console), record)
    return 0


def _page(done: Sequence[Done], console: Console) -> str:
    rows = [(one.step, _score(one), "was there" if one.kept else "new", str(one.run.folder.path)) for one in done]
    table = console.table(("step", "score", "", "run"), rows)
    return f"{table}\n\ntalk to the last one:\n  luthier chat {done[-1].run.folder.path}"


def _score(one: Done) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in one.run.score().items())
