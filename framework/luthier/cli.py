"""The command line: `luthier <answers>` runs a recipe through Hydra, `luthier <verb> …` does one thing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from luthier.console import Console
from luthier.errors import LuthierError, RecipeError

HYDRA_ONLY = ("--info", "-i", "--cfg", "-c", "--hydra-help", "--shell-completion", "-sc")


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
    from luthier import __version__, helptext
    from luthier.verbs import BUILT_IN

    if flags.version:
        console.data(f"luthier {__version__}", {"luthier": __version__})
        return 0
    verb = next((word for word in flags.rest[:1] if not word.startswith("-") and "=" not in word), None)
    if verb is None and flags.help:
        console.data(helptext.overview(flags))
        return 0
    if verb is None:
        return _run_recipe(flags, console)
    if verb in BUILT_IN:
        return _run_verb(verb, flags, console)
    return _run_foreign_verb(verb, flags, console)


def _run_verb(name: str, flags: Flags, console: Console) -> int:
    from luthier.verbs import built_in

    return _call(built_in(name), flags, console)


def _run_foreign_verb(name: str, flags: Flags, console: Console) -> int:
    from luthier.nearest import nearest
    from luthier.verbs import BUILT_IN

    plugins = load_plugins(flags, console)
    foreign = {verb.name: verb for _, verbs in plugins.ask("luthier_verbs") for verb in verbs}
    if name not in foreign:
        raise RecipeError(f"There is no verb {name!r}.", hint=nearest(name, {*BUILT_IN, *foreign}, "There are"))
    return _call(foreign[name], flags, console)


def _call(verb: object, flags: Flags, console: Console) -> int:
    from luthier.verbs import Call, Verb

    assert isinstance(verb, Verb)
    parser = argparse.ArgumentParser(prog=f"luthier {verb.name}", description=verb.help, allow_abbrev=False)
    verb.declare(parser)
    parser.error = _usage(verb.name)  # type: ignore[method-assign]
    if flags.help:
        console.data(parser.format_help().rstrip())
        return 0
    arguments = parser.parse_args(flags.rest[1:])
    return verb.act(Call(arguments, console, load_plugins(flags, console), flags))


def _usage(verb: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    def refuse(message: str) -> NoReturn:
        raise RecipeError(f"luthier {verb}: {message}.", hint=f"See `luthier {verb} --help`.")

    return refuse


def load_plugins(flags: Flags, console: Console):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The installed plugins; those that are broken are named and left out."""
    from luthier.plugins import Plugins

    plugins = Plugins.from_flags(flags.plugins)
    for plugin in plugins.broken:
        console.say(f"warning: plugin {plugin} is left out: {plugin.problem}")
    return plugins


def composer(flags: Flags, console: Console, config_dir: str | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """What composes a recipe in this working folder: its own `recipes/` folder joins the installed ones."""
    from luthier.catalog import Catalog
    from luthier.compose import Composer

    plugins = load_plugins(flags, console)
    folders = [Path("recipes")] if Path("recipes", "__init__.py").exists() or _answers_in(Path("recipes")) else []
    extra = [Path(config_dir)] if config_dir else []
    if flags.trusted and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return Composer(plugins, Catalog.of(plugins, *folders, *extra), tuple(flags.trusted), config_dir)


def _answers_in(folder: Path) -> bool:
    return any(folder.glob("*/*.yaml")) and not (folder / "luthier_recipes").is_dir()


def _run_recipe(flags: Flags, console: Console) -> int:
    from luthier.recipe_command import run_recipe

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
