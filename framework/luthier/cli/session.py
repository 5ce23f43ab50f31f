"""What every command starts from: luthier's own flags, the installed plugins, the answers, what composes a recipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest
from luthier.records import ranks

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog
    from luthier.config.compose import Composer
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console


@dataclass
class Flags:
    """luthier's own flags, which may stand anywhere; `rest` is for a verb or for Hydra."""

    plugins: list[str] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)
    as_json: bool = False
    debug: bool = False
    trace_hooks: bool = False
    version: bool = False
    help: bool = False
    rest: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, argv: Sequence[str]) -> Flags:
        flags, words = cls(), list(argv)
        switches = {
            "--json": "as_json", "--debug": "debug", "--trace-hooks": "trace_hooks", "--version": "version",
            "--help": "help", "-h": "help",
        }  # fmt: skip
        lists = {"-p": flags.plugins, "--plugin": flags.plugins, "--trust": flags.trusted}
        while words:
            word = words.pop(0)
            name, equals, value = word.partition("=")
            if word in switches:
                setattr(flags, switches[word], True)
            elif word in lists or (equals and name in lists):
                if not equals and not words:
                    raise RecipeError(f"{word} needs a value.", hint="See `luthier --help`.")
                lists[name].append(value if equals else words.pop(0))
            else:
                flags.rest.append(word)
        return flags

    def again(self, config_dir: str | None = None) -> list[str]:
        """The same flags, for a child process, and the further folder of recipes behind them."""
        switches = {"--json": self.as_json, "--debug": self.debug, "--trace-hooks": self.trace_hooks}
        switched = [flag for flag, on in switches.items() if on]
        named = [word for name in self.plugins for word in ("-p", name)]
        recipes = ["--config-dir", str(config_dir)] if config_dir else []
        return [*switched, *named, *(word for name in self.trusted for word in ("--trust", name)), *recipes]

    def to_paste(self, *words: str, config_dir: str | None = None) -> str:
        """The command with these words, and with what this command line says of plugins, trust and recipe folders."""
        from luthier.config.command_line import to_paste

        return to_paste(*words, flags=self.again(config_dir))


def load_plugins(flags: Flags, console: Console) -> Plugins:
    """The installed plugins; broken ones are reported and left out. `--trust` makes the working folder importable."""
    from luthier.plugins.registry import SLOW, Plugins

    if flags.trusted and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file of this folder must not stand in for a library
    plugins = Plugins.from_flags(flags.plugins, trace=console.say if flags.trace_hooks else None)
    for plugin in plugins.broken:
        console.say(f"warning: plugin {plugin} is left out: {plugin.problem}")
    for plugin in plugins.known:
        if plugin.seconds > SLOW:
            why = "; it imports torch: let its functions import what needs it, such as luthier.api.load"
            console.say(f"note: plugin {plugin} took {plugin.seconds:.1f} s to load{why if plugin.heavy else ''}")
    return plugins


def composer(
    flags: Flags, console: Console, *, config_dir: str | None = None, plugins: Plugins | None = None
) -> Composer:
    """What composes a recipe in this working folder: its own `recipes/` folder joins the installed ones."""
    from luthier.config.compose import Composer
    from luthier.workflows.sweeps import optuna_sweeper

    optuna_sweeper.register()
    plugins = plugins or load_plugins(flags, console)
    return Composer(plugins, catalog(plugins, config_dir), tuple(flags.trusted))


def catalog(plugins: Plugins, config_dir: str | None = None) -> Catalog:
    """The answers of the plugins, of this working folder and of `--config-dir`; RecipeError where that is no folder."""
    from luthier.config.catalog import Catalog

    if config_dir and not Path(config_dir).is_dir():
        around = Path(config_dir).absolute().parent
        folders = [folder.name for folder in around.iterdir() if folder.is_dir()] if around.is_dir() else []
        hint = nearest(Path(config_dir).name, folders, f"In {around} there are")
        raise RecipeError(f"There is no folder {config_dir!r}.", where="--config-dir", hint=hint)
    return Catalog.of(plugins, *own_recipes(), *([Path(config_dir)] if config_dir else []))


def own_recipes() -> list[Path]:
    """The `recipes` folder of the working folder, where it holds answers (and is not luthier's own source)."""
    folder = Path("recipes")
    holds = folder.is_dir() and any(folder.rglob("*/*.y*ml")) and not (folder / "luthier_recipes").is_dir()
    return [folder] if holds else []


def run_name(recipe: str, machines: int = 1) -> str:
    """`<recipe>-<date>-<time>`: sorts by age. Where torchrun or SLURM started it several times, its job in place of it.

    RecipeError where several processes would each take another name.
    """
    starter, processes = ranks.started_together()
    if processes == 1 and machines == 1:
        return f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"
    if (job := ranks.name_of_all()) is None:
        raise RecipeError(
            f"{starter or 'Each machine'} starts a process of this run, and each would name a folder of its own.",
            where="name",
            hint="Give the run a name: name=….",
        )
    return f"{recipe}-{job}"
