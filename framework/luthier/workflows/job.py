"""One job of the command line: assemble the run of a composed recipe and carry it out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.command_line import OF_OUTPUT
from luthier.records.folder import RunFolder
from luthier.training import child_processes
from luthier.workflows.parts import assemble
from luthier.workflows.precision import settle
from luthier.workflows.quiet import silence_libraries
from luthier.workflows.run import CorePlugin, Run
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console


def run_of(composition: Composition, folder: RunFolder, plugins: Plugins, console: Console) -> Run:
    """The run of a composition in a folder, its data module built; raises the first error of a part."""
    parts = assemble(composition.config, composition.trust, folder)
    run = Run(composition, parts, folder, plugins, console)
    _ = run.data  # errors of the tokenizer or the batch are raised before anything is written
    return run


def carry_out(
    composition: Composition, folder: str, plugins: Plugins, console: Console, flags: list[str]
) -> float | None:
    """Assemble and carry out a run, with the plugins' wrappers, and return the score that the recipe names."""
    silence_libraries()
    jobs.end_with_parent()
    plugins.register(CorePlugin(), "luthier")
    composition = settle(composition, RunFolder(Path(folder)))
    child_processes.remember(flags, [*composition.overrides, *composition.decided], folder)
    needed = tuple(flag for flag in flags if flag not in OF_OUTPUT)
    run = run_of(replace(composition, flags=needed), RunFolder(Path(folder)), plugins, console)
    if jobs.TRIAL in os.environ:
        from luthier.workflows.sweeps.pruning import Pruning

        run.callbacks += filter(None, [Pruning.of_this_job(Path(folder))])
    return plugins.run(run)
