"""`luthier <answers>`: compose ahead to say what is wrong in our own words, then let Hydra run the job or the sweep."""

from __future__ import annotations

import logging
import os
import traceback
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from luthier.cli import session
from luthier.config import command_line
from luthier.config import messages as wording
from luthier.config.compose import ROOT_FILE
from luthier.errors import LuthierError, RecipeError, Refused
from luthier.errors.interrupted import Interrupted
from luthier.errors.suggestions import nearest
from luthier.records import unfinished
from luthier.records.redaction import redact_text
from luthier.reporting.console import Console
from luthier.workflows.pipelines import addressing

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.config.compose import Composer, Composition

log = logging.getLogger("luthier")

ELSEWHERE = ("--experimental-rerun", "--config-path", "--config-name")


def run_recipe(flags: session.Flags, console: Console) -> int:
    """Run the recipe of this command line in this process, or its sweep with a process for each job."""
    version.setbase("1.3")
    parser = get_args_parser()
    asked = _parsed(parser, flags.rest)
    composer = session.composer(flags, console, config_dir=asked.config_dir)
    if asked.shell_completion:
        return _complete(asked, composer, console)
    if addressing.named(asked.overrides):
        from luthier.cli.pipeline import run_pipeline

        return run_pipeline(asked, flags, composer, console)
    looks = asked.info is not None or asked.hydra_help or asked.cfg is not None
    job = _Job(_again(flags, asked), console, composer)
    if not looks and not asked.multirun:
        job.composition = _compose_run(asked, composer, console)
    elif asked.info is None and not asked.hydra_help:
        _compose_ahead(asked, composer, console)
    if asked.cfg and console.as_json:
        return _show_as_json(asked, composer, console)
    try:
        _hand_to_hydra(asked, parser, composer, job)
    except (HydraException, OmegaConfBaseException) as error:
        raise wording.in_our_words(error, composer.catalog, list) from error
    return 0


class _Job:
    """What Hydra calls for each job; ends the process with luthier's own exit code where the job fails.

    `swept` are the jobs of a sweep so far: folder, score, overrides.
    """

    def __init__(self, again: list[str], console: Console, composer: Composer) -> None:
        self.again, self.console, self.composer = again, console, composer
        self.swept: list[tuple[str, str, str]] = []
        self.composition: Composition | None = None

    def __call__(self, raw: DictConfig) -> Any:
        hydra = HydraConfig.get()
        if hydra.mode == RunMode.MULTIRUN:
            from luthier.workflows.sweeps.jobs import run_job

            words, folder = list(hydra.overrides.task), os.path.relpath(hydra.runtime.output_dir)
            score = "failed"
            try:
                found = run_job(self.again, words, hydra.runtime.output_dir)
                score = "none" if found is None else f"{found:.6g}"
                return found
            finally:
                self.swept.append((folder, score, " ".join(words)))
        try:
            assert self.composition is not None, "a run is composed before Hydra sets it up"
            from luthier.workflows.job import carry_out

            folder = hydra.runtime.output_dir
            return carry_out(self.composition, folder, self.composer.plugins, self.console, self.again)
        except (LuthierError, Interrupted) as error:
            _keep(error)
            raise SystemExit(self.console.error(error)) from error
        except KeyboardInterrupt as error:
            raise SystemExit(130) from error
        except Exception as error:
            _keep(error)
            raise


def _keep(error: BaseException) -> None:
    """Write an error with its traceback into the run's log, where Hydra opened one."""
    log.error("%s", redact_text("".join(traceback.format_exception(error))))


def _again(flags: session.Flags, asked: Namespace) -> list[str]:
    """The flags that another process of the same job needs."""
    return [*flags.again(), *(["--config-dir", str(asked.config_dir)] if asked.config_dir else [])]


def _parsed(parser: ArgumentParser, words: list[str]) -> Namespace:
    """Hydra's flags and the overrides; RecipeError with the nearest flag for one that is not known."""
    known = [*parser._option_string_actions, "--json", "--debug", "--trust", "-p"]
    parser.allow_abbrev = False

    def refuse(message: str) -> NoReturn:
        raise RecipeError(f"{message[:1].upper()}{message[1:]}.", hint="See `luthier --help`.")

    parser.error = refuse  # type: ignore[method-assign]
    asked, unknown = parser.parse_known_args(words)
    if unknown:
        flag = unknown[0].partition("=")[0]
        raise RecipeError(f"There is no flag {flag!r}.", where=unknown[0], hint=nearest(flag, known, "There are"))
    for flag in ELSEWHERE:
        if getattr(asked, flag[2:].replace("-", "_")) is not None:
            hint = "Say --config-dir DIR and recipe=NAME."
            raise Refused(f"{flag} would take the recipe from elsewhere.", where=flag, hint=hint)
    shows = [asked.cfg is not None, asked.multirun, asked.run, asked.info is not None, asked.shell_completion]
    if sum(shows) > 1:
        raise RecipeError("Only one of --run, --multirun, --cfg, --info and --shell-completion can be asked for.")
    if asked.resolve and not asked.cfg:
        raise RecipeError("--resolve goes with --cfg.", where="--resolve")
    return asked


def _compose_run(asked: Namespace, composer: Composer, console: Console) -> Composition:
    """Compose the run of this command line, say which settings are left out, and hand the same over to Hydra."""
    composition, raw = composer.compose_run(asked.overrides, _name)
    asked.overrides = composition.overrides
    composer.gate.hand_over(raw)
    _say_notes(composition, console)
    return composition


def _compose_ahead(asked: Namespace, composer: Composer, console: Console) -> None:
    """Compose before Hydra does, of a sweep each value that it lists; name the sweep."""
    words = command_line.read(asked.overrides, composer.catalog)
    command_line.refuse_unknown_answers(words, composer.catalog)
    jobs = command_line.first_jobs(words) if asked.multirun else [list(asked.overrides)]
    compositions = [composer.compose(overrides, complete=asked.cfg is None) for overrides in jobs]
    _say_notes(compositions[0], console)
    if asked.cfg is None and not {"name", "hydra.run.dir"} & {word.key for word in words}:
        asked.overrides.append(f"name={_name(compositions[0])}")


def _say_notes(composition: Composition, console: Console) -> None:
    for line in composition.dropped:
        console.say(f"note: {line}")


def _name(composition: Composition) -> str:
    """A new name, or that of the run that `resume=auto` goes on with."""
    again = unfinished.newest(Path("runs"), composition.hash) if composition.config.resume == "auto" else None
    return again or session.run_name(composition.recipe.replace("/", "-"))


def _hand_to_hydra(asked: Namespace, parser: ArgumentParser, composer: Composer, job: _Job) -> None:
    hydra = Hydra(task_name="luthier", config_loader=composer.gate)
    GlobalHydra.instance().initialize(hydra)
    try:
        if asked.hydra_help:
            asked.overrides = []
            hydra.hydra_help(config_name=ROOT_FILE, args_parser=parser, args=asked)
        elif asked.info is not None:
            hydra.show_info(asked.info, config_name=ROOT_FILE, overrides=asked.overrides)
        elif asked.cfg:
            hydra.show_cfg(ROOT_FILE, asked.overrides, asked.cfg, package=asked.package, resolve=asked.resolve)
        elif asked.multirun:
            try:
                hydra.multirun(ROOT_FILE, job, [*asked.overrides, "hydra.mode=MULTIRUN"])
            finally:
                if job.swept:
                    job.console.say(job.console.table(("run", "score", "with"), job.swept))
        else:
            hydra.run(ROOT_FILE, job, [*asked.overrides, "hydra.mode=RUN"])
    finally:
        GlobalHydra.instance().clear()


def _show_as_json(asked: Namespace, composer: Composer, console: Console) -> int:
    """The checked, resolved configuration, or the part of it that --package names."""
    composition = composer.compose(asked.overrides, complete=False)
    node = OmegaConf.select(composition.config, asked.package) if asked.package else composition.config
    if node is None:
        raise RecipeError(f"The recipe has nothing at {asked.package!r}.", where="--package")
    console.data("", OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)
    return 0


def _complete(asked: Namespace, composer: Composer, console: Console) -> int:
    """Answer a shell's query; Hydra's own install=SHELL is `luthier completion SHELL`."""
    from luthier.cli.completion.completer import from_environment

    if [word for word in asked.overrides if word.startswith("query=")] != asked.overrides:
        raise RecipeError("-sc answers query=SHELL.", where="-sc", hint="`luthier completion bash` prints the script.")
    found = from_environment(composer)
    if found:
        console.data("\n".join(found))
    return 0
