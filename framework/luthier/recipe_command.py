"""`luthier <answers>`: compose ahead to say what is wrong in our own words, then let Hydra run the job or the sweep."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from luthier.console import Console
from luthier.errors import LuthierError, RecipeError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.cli import Flags
    from luthier.compose import Composer


def run_recipe(flags: Flags, console: Console) -> int:
    """Run the recipe of this command line in this process, or its sweep with a process for each job."""
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    from luthier import cli
    from luthier.compose import CORE_RECIPES, ROOT_FILE, prepare_hydra

    version.setbase("1.3")
    parser = get_args_parser()
    words, unknown = parser.parse_known_args(flags.rest)
    if unknown:
        raise RecipeError(f"There is no flag {unknown[0]!r}.", hint="See `luthier --help`.")
    composer = cli.composer(flags, console, words.config_dir)
    asks_hydra = words.shell_completion or words.info is not None or words.hydra_help
    if not asks_hydra:
        _add_name(words.overrides)
        composition = _compose_ahead(composer, words)
        for line in composition.dropped:
            console.say(f"note: {line}")
    prepare_hydra(composer.catalog)
    _run_hydra(
        args=words,
        args_parser=parser,
        task_function=_Job(flags, console, composer),
        config_path=CORE_RECIPES,
        config_name=ROOT_FILE,
    )
    return 0


class _Job:
    """What Hydra calls for each job; ends the process with luthier's own exit code where the job fails."""

    def __init__(self, flags: Flags, console: Console, composer: Composer) -> None:
        self.flags, self.console, self.composer = flags, console, composer

    def __call__(self, raw: DictConfig) -> Any:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra = HydraConfig.get()
        if hydra.mode == RunMode.MULTIRUN:
            from luthier.sweep import run_job

            return run_job(self.flags.again(), list(hydra.overrides.task), hydra.runtime.output_dir)
        try:
            composition = self.composer.check(raw, dict(hydra.runtime.choices), list(hydra.overrides.task))
            from luthier.assemble import carry_out

            return carry_out(composition, hydra.runtime.output_dir, self.composer.plugins, self.console, self.flags.again())
        except LuthierError as error:
            raise SystemExit(self.console.error(error)) from error
        except KeyboardInterrupt as error:
            raise SystemExit(130) from error


def _compose_ahead(composer: Composer, words: Any) -> Any:
    """The composition of this command line; of a sweep, that of the first value of each swept setting."""
    return composer.compose(_first_of_sweep(words.overrides) if words.multirun else list(words.overrides))


def _first_of_sweep(overrides: list[str]) -> list[str]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    kept = []
    for text, override in zip(overrides, OverridesParser.create().parse_overrides(overrides), strict=True):
        if not override.is_sweep_override():
            kept.append(text)
            continue
        if override.is_choice_sweep() or override.is_discrete_sweep():
            first = next(iter(override.sweep_string_iterator()))
            kept.append(f"{text.partition('=')[0]}={first}")
    return kept


def _add_name(overrides: list[str]) -> None:
    from luthier.cli import run_name

    named = any(item.lstrip("+").startswith(("name=", "hydra.run.dir=")) for item in overrides)
    if not named and not _is_child():
        recipe = next((item.partition("=")[2] for item in overrides if item.startswith("recipe=")), "luthier")
        overrides.append(f"name={run_name(recipe.replace('/', '-'))}")


def _is_child() -> bool:
    return "hydra.output_subdir=null" in sys.argv
