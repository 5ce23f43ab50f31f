"""`luthier recipe=NAME …`: compose the recipe, report its errors, then let Hydra run the job or the sweep."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from luthier.cli import hydra_arguments, session
from luthier.config import command_line, messages, precision
from luthier.config.compose import ROOT_FILE
from luthier.errors import RecipeError
from luthier.workflows.pipelines import addressing

if TYPE_CHECKING:
    from luthier.cli.hydra_job import HydraJob
    from luthier.config.compose import Composer, Composition
    from luthier.reporting.console import Console


def run_recipe(flags: session.Flags, console: Console) -> int:
    """Run the recipe of this command line in this process, or its sweep with a process for each job."""
    version.setbase("1.3")
    arguments = hydra_arguments.parse(flags.rest)
    composer = session.composer(flags, console, config_dir=arguments.config_dir)
    if arguments.shell_completion:
        return _complete(arguments.overrides, composer, console)
    if addressing.names_pipeline(arguments.overrides):
        from luthier.cli.pipeline import run_pipeline

        return run_pipeline(arguments, flags, composer, console)
    composition, overrides = _compose(arguments, composer, console)
    if arguments.cfg and console.as_json:
        return _print_config_as_json(overrides, arguments.package, composer, console)
    from luthier.cli.hydra_job import HydraJob  # with what a run writes, which a mistyped recipe need not wait for

    job = HydraJob(composer.plugins, console, flags.again(arguments.config_dir), composition)
    try:
        _call_hydra(arguments, overrides, composer, job)
    except (HydraException, OmegaConfBaseException) as error:
        raise messages.as_luthier_error(error, composer.catalog, list) from error
    return 0


def _compose(arguments: Namespace, composer: Composer, console: Console) -> tuple[Composition | None, list[str]]:
    """The composition of the run, None without one, and the overrides with the run's name.

    The configuration of a run is handed to Hydra, so that it is composed once. Of a sweep each listed value is
    composed once, so that errors are reported before the first job.
    """
    if arguments.info is not None or arguments.hydra_help:
        return None, list(arguments.overrides)
    if arguments.cfg is None and not arguments.multirun:
        composition, raw = composer.compose_run(arguments.overrides, _run_name)
        composer.config_loader.hand_over(raw)
        _print_notes([composition], console)
        return composition, composition.overrides
    current, renamed = composer.current(arguments.overrides)
    words = composer.words(current)
    if arguments.multirun:
        command_line.refuse_long_sweep(words)
    jobs = command_line.first_jobs(words) if arguments.multirun else [current]
    first, *others = [composer.compose(overrides, complete=arguments.cfg is None) for overrides in jobs]
    _print_notes([first, *others], console, renamed)
    is_named = {"name", "hydra.run.dir"} & {word.key for word in words}
    name = [] if arguments.cfg is not None or is_named else [f"name={_run_name(first)}"]
    return None, [*current, *name]


def _print_notes(compositions: Sequence[Composition], console: Console, renamed: Sequence[str] = ()) -> None:
    lines = [*renamed, *(line for composition in compositions for line in composition.dropped)]
    for line in dict.fromkeys(lines):
        console.say(f"note: {line}")


def _run_name(composition: Composition) -> str:
    """A new name, or that of the run that `resume=auto` continues."""
    new = session.run_name(composition.recipe.replace("/", "-"), int(composition.config.trainer.get("num_nodes", 1)))
    if composition.config.resume != "auto":
        return new
    from luthier.records import unfinished

    return unfinished.newest(Path("runs"), precision.hashes(composition.config)) or new


def _call_hydra(arguments: Namespace, overrides: list[str], composer: Composer, job: HydraJob) -> None:
    hydra = Hydra(task_name="luthier", config_loader=composer.config_loader)
    GlobalHydra.instance().initialize(hydra)
    try:
        if arguments.hydra_help:
            without = Namespace(**{**vars(arguments), "overrides": []})
            hydra.hydra_help(config_name=ROOT_FILE, args_parser=get_args_parser(), args=without)
        elif arguments.info is not None:
            hydra.show_info(arguments.info, config_name=ROOT_FILE, overrides=overrides)
        elif arguments.cfg:
            hydra.show_cfg(ROOT_FILE, overrides, arguments.cfg, package=arguments.package, resolve=arguments.resolve)
        elif arguments.multirun:
            try:
                hydra.multirun(ROOT_FILE, job, [*overrides, "hydra.mode=MULTIRUN"])
            finally:
                if job.finished:
                    job.console.say(job.console.table(("run", "score", "with"), job.finished))
        else:
            hydra.run(ROOT_FILE, job, [*overrides, "hydra.mode=RUN"])
    finally:
        GlobalHydra.instance().clear()


def _print_config_as_json(overrides: Sequence[str], package: str | None, composer: Composer, console: Console) -> int:
    """The checked, resolved configuration, or the part of it that --package names."""
    composition = composer.compose(overrides, complete=False)
    node = OmegaConf.select(composition.config, package) if package else composition.config
    if node is None:
        raise RecipeError(f"The recipe has nothing at {package!r}.", where="--package")
    console.data("", OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)
    return 0


def _complete(overrides: Sequence[str], composer: Composer, console: Console) -> int:
    """Print the candidates for a shell's query; Hydra's own install=SHELL is `luthier completion SHELL`."""
    from luthier.cli.completion.completer import from_environment

    if any(not word.startswith("query=") for word in overrides):
        raise RecipeError("-sc answers query=SHELL.", where="-sc", hint="`luthier completion bash` prints the script.")
    candidates = from_environment(composer)
    if candidates:
        console.data("\n".join(candidates))
    return 0
