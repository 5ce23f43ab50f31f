"""The composition root: the checked configuration of a recipe becomes a run. All parts meet here and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.compose import PARTS, Composition
from luthier.config.instantiate import build
from luthier.models.safety import vouch
from luthier.records.folder import RunFolder
from luthier.training import child_processes as again
from luthier.workflows.quiet import hush
from luthier.workflows.run import Core, Run
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console


def assemble(composition: Composition, folder: RunFolder, plugins: Plugins, console: Console) -> Run:
    """Build the parts and hand each what it is made of; the first error of a part ends it."""
    config = composition.config
    make = {part: partial(build, config[part]) for part in PARTS}
    model, adaptation, prompt = make["model"](), make["adaptation"](), make["prompt"]()
    vouch(model, composition.vouched)
    method = make["method"](model, adaptation, make["optimizer"]())
    vouch(method, composition.vouched)
    data = make["batch"](make["data"](), prompt, method.encode, model.tokenizer, int(config.seed), folder)
    data.preparation = method.preparation
    return Run(
        composition, folder, plugins, console, model, adaptation, prompt, method, data,
        make["trainer"](), make["tracking"](), make["evaluation"](),
    )  # fmt: skip


def carry_out(
    composition: Composition, folder: str, plugins: Plugins, console: Console, flags: list[str]
) -> float | None:
    """Assemble and carry out, plugins wrapped around it; gives the score that the recipe names."""
    hush()
    jobs.end_with_parent()
    again.remember(flags, composition.overrides, folder)
    plugins.register(Core(), "luthier")
    needed = tuple(flag for flag in flags if flag not in ("--json", "--debug"))
    run = assemble(replace(composition, flags=needed), RunFolder(Path(folder)), plugins, console)
    return plugins.run(run)
