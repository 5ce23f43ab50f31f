"""The command line: `luthier <answers>` runs a recipe through Hydra, `luthier <verb> …` does one thing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from luthier.cli.threads import wait_briefly
from luthier.errors import LuthierError, RecipeError
from luthier.errors.suggestions import nearest
from luthier.reporting.console import Console

if TYPE_CHECKING:
    from luthier.cli.verbs import Verb
    from luthier.config.catalog import Catalog
    from luthier.config.compose import Composer
    from luthier.plugins.registry import Plugins


@dataclass
class Flags:
    """luthier's own flags, which may stand anywhere; `rest` is for a verb or for Hydra."""

    plugins: list[str] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)
    as_json: bool = False
    debug: bool = False
    version: bool = False
    help: bool = False
    rest: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, argv: Sequence[str]) -> Flags:
        flags, words = cls(), list(argv)
        switches = {"--json": "as_json", "--debug": "debug", "--version": "version", "--help": "help", "-h": "help"}
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

    def again(self) -> list[str]:
        """The same flags, for a child process."""
        switched = [flag for flag, on in (("--json", self.as_json), ("--debug", self.debug)) if on]
        named = [word for name in self.plugins for word in ("-p", name)]
        return [*switched, *named, *(word for name in self.trusted for word in ("--trust", name))]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point of the `luthier` command; ends the process with one of the exit codes of `luthier.errors`."""
    wait_briefly()
    console = Console()
    try:
        flags = Flags.parse(sys.argv[1:] if argv is None else argv)
        console = Console(flags.as_json, flags.debug)
        code = _act(flags, console)
    except LuthierError as error:
        code = console.error(error)
    except KeyboardInterrupt:
        console.say("interrupted")
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        console.debug = True
        code = console.error(_bug(error))
    sys.exit(code)


def _act(flags: Flags, console: Console) -> int:
    from luthier import __version__
    from luthier.cli import help as helptext
    from luthier.cli.verbs import BUILT_IN

    if flags.version:
        console.data(f"luthier {__version__}", {"luthier": __version__})
        return 0
    verb = next((word for word in flags.rest[:1] if not word.startswith(("-", "~", "+")) and "=" not in word), None)
    if verb is None and flags.help:
        console.data(helptext.overview(flags))
        return 0
    if verb is None:
        return _run_recipe(flags, console)
    if verb in BUILT_IN:
        return _run_verb(verb, flags, console)
    return _run_foreign_verb(verb, flags, console)


def _run_verb(name: str, flags: Flags, console: Console) -> int:
    from luthier.cli.verbs import built_in

    return _call(built_in(name), flags, console, load_plugins(flags, console))


def _run_foreign_verb(name: str, flags: Flags, console: Console) -> int:
    from luthier.cli.verbs import BUILT_IN

    plugins = load_plugins(flags, console)
    foreign: dict[str, Verb] = {verb.name: verb for _, verbs in plugins.ask("luthier_verbs") for verb in verbs}
    if name not in foreign:
        raise RecipeError(
            f"There is no verb {name!r}.", where=name, hint=nearest(name, {*BUILT_IN, *foreign}, "There are")
        )
    return _call(foreign[name], flags, console, plugins)


def _call(verb: Verb, flags: Flags, console: Console, plugins: Plugins) -> int:
    from luthier.cli.verbs import Call

    parser = _Parser(prog=f"luthier {verb.name}", description=verb.help, allow_abbrev=False, add_help=False)
    verb.declare(parser)
    if flags.help:
        console.data(parser.format_help().rstrip())
        return 0
    arguments, unknown = parser.parse_known_args(flags.rest[1:])
    if unknown:
        hint = nearest(unknown[0], parser._option_string_actions, "There are") or f"See `luthier {verb.name} --help`."
        raise RecipeError(f"luthier {verb.name} does not know {unknown[0]!r}.", where=unknown[0], hint=hint)
    return verb.act(Call(arguments, console, plugins, flags))


class _Parser(argparse.ArgumentParser):
    """argparse, whose complaints are ours."""

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{self.prog}: {message}.", hint=f"See `{self.prog} --help`.")


def load_plugins(flags: Flags, console: Console) -> Plugins:
    """The installed plugins; those that are broken are named and left out. Code that is vouched for is found here."""
    from luthier.plugins.registry import SLOW, Plugins

    if flags.trusted and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a file of this folder must not stand in for a library
    plugins = Plugins.from_flags(flags.plugins)
    for plugin in plugins.broken:
        console.say(f"warning: plugin {plugin} is left out: {plugin.problem}")
    for plugin in plugins.known:
        if plugin.seconds > SLOW:
            console.say(f"note: plugin {plugin} took {plugin.seconds:.1f} s to load")
    return plugins


def composer(
    flags: Flags, console: Console, *, config_dir: str | None = None, plugins: Plugins | None = None
) -> Composer:
    """What composes a recipe in this working folder: its own `recipes/` folder joins the installed ones."""
    from luthier.config.compose import Composer

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
    holds = folder.is_dir() and any(folder.glob("*/*.yaml")) and not (folder / "luthier_recipes").is_dir()
    return [folder] if holds else []


def _run_recipe(flags: Flags, console: Console) -> int:
    from luthier.cli.recipe import run_recipe

    return run_recipe(flags, console)


def run_name(recipe: str) -> str:
    """`<recipe>-<date>-<time>`: sorts by age and reads aloud."""
    return f"{recipe}-{datetime.now():%Y%m%d-%H%M%S}"


def _bug(error: Exception) -> LuthierError:
    bug = LuthierError(
        f"{type(error).__name__}: {error}", hint="This is a bug in luthier or a plugin; the traceback above says where."
    )
    bug.__cause__ = error
    return bug
