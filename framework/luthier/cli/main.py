"""The command line: `luthier <answers>` runs a recipe through Hydra, `luthier <verb> …` does one thing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from luthier.cli.garbage import collect_seldom
from luthier.cli.session import Flags, load_plugins
from luthier.cli.threads import wait_briefly
from luthier.disk.guarded_output import guarded_output
from luthier.disk.refusals import refusal, refused_by_the_disk
from luthier.errors import LuthierError, PluginError, RecipeError
from luthier.errors.suggestions import nearest
from luthier.reporting.console import Console
from luthier.workflows.quiet import silence_warnings

if TYPE_CHECKING:
    from luthier.contracts.verbs import Verb
    from luthier.plugins.registry import Plugins

_HIGHEST_EXIT_CODE = 255  # what is greater is another number to the shell: 256 is 0


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The entry point of the `luthier` command; ends the process with one of the exit codes of `luthier.errors`."""
    collect_seldom()
    wait_briefly()
    silence_warnings()
    with guarded_output():
        code = _code(sys.argv[1:] if argv is None else argv)
    sys.exit(code)


def _code(argv: Sequence[str]) -> int:
    """Carry the command out and say what went wrong; the exit code."""
    console = Console()
    try:
        flags = Flags.parse(argv)
        console = Console(flags.as_json, flags.debug)
        code = _act(flags, console)
        sys.stdout.flush()
    except LuthierError as error:
        code = console.error(error)
    except KeyboardInterrupt:
        console.say("interrupted")
        code = 130
    except BrokenPipeError:
        _say_nothing_more()
        code = 0
    except Exception as error:
        if (refused := refused_by_the_disk(error)) is not None:
            if refused is error and refused.filename is None:
                _say_nothing_more()  # it may be stdout that is full, and is flushed once more at the end
            return console.error(_refused(error, refused))
        failure = _failure(error)
        console.debug = console.debug or failure.code == LuthierError.code
        code = console.error(failure)
    return code


def _say_nothing_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refused(error: Exception, refused: OSError) -> LuthierError:
    """The disk does not take or give what somebody asked for: the code of a plugin, or luthier."""
    from luthier.plugins.blame import culprit

    place = culprit(error)
    found = refusal(f"What {place} writes" if place else "What the command writes", None, refused)
    found.__cause__ = error
    return found


def _act(flags: Flags, console: Console) -> int:
    from luthier.cli import help as helptext
    from luthier.cli.verbs import BUILT_IN
    from luthier.version import __version__

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

    try:
        return _call(built_in(name), flags, console, load_plugins(flags, console))
    except SystemExit as error:  # of the code of a plugin
        from luthier.plugins.blame import culprit
        from luthier.plugins.exits import exit_of_a_part

        if not culprit(error):
            raise
        raise exit_of_a_part(error) from error


def _run_foreign_verb(name: str, flags: Flags, console: Console) -> int:
    from luthier.cli.verbs import BUILT_IN, of_plugins

    plugins = load_plugins(flags, console)
    failures: list[PluginError] = []
    foreign = of_plugins(plugins, console, failures)
    if failures and name not in foreign:  # it may be one of those that are missing
        raise failures[0]
    for failure in failures:
        console.say(f"warning: {failure}")
    if name not in foreign:
        raise RecipeError(
            f"There is no verb {name!r}.", where=name, hint=nearest(name, {*BUILT_IN, *foreign}, "There are")
        )
    return _call(foreign[name], flags, console, plugins)


def _call(verb: Verb, flags: Flags, console: Console, plugins: Plugins) -> int:
    from luthier.cli.call import Call

    parser = _Parser(prog=f"luthier {verb.name}", description=verb.help, allow_abbrev=False, add_help=False)
    _of_the_verb(verb.declare, parser)
    if flags.help:
        console.data(parser.format_help().rstrip())
        return 0
    for word in flags.rest[1:]:
        if word.startswith("-") and word not in parser._option_string_actions and Path(word).exists():
            hint = f"Write it as ./{word}."
            raise RecipeError(f"{word!r} is the name of a file, and reads as a flag.", where=word, hint=hint)
    arguments, unknown = _parsed(parser, flags.rest[1:])
    if unknown:
        hint = nearest(unknown[0], parser._option_string_actions, "There are") or f"See `luthier {verb.name} --help`."
        raise RecipeError(f"luthier {verb.name} does not know {unknown[0]!r}.", where=unknown[0], hint=hint)
    return _exit_code(_of_the_verb(verb.act, Call(arguments, console, plugins, flags)), verb)


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments and what is unknown; flags may stand between the overrides of a recipe."""
    try:
        return parser.parse_known_intermixed_args(words)
    except TypeError:  # a verb of a plugin has commands of its own
        return parser.parse_known_args(words)


def _of_the_verb(function: Callable[[Any], Any], given: Any) -> Any:
    """What a function of a verb gives; where its arguments do not fit, a PluginError that names it."""
    try:
        return function(given)
    except TypeError as error:
        from luthier.plugins.blame import blamed

        if (failure := blamed(error, function)) is None:
            raise
        raise failure from error


def _exit_code(code: Any, verb: Verb) -> int:
    """The exit code that a verb gives, 0 to 255; None is 0, as Python means it."""
    if code is None or (isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= _HIGHEST_EXIT_CODE):
        return int(code or 0)
    from luthier.plugins.returned import misreturned

    raise misreturned(verb.act, f"the exit code of the verb {verb.name!r}, 0 to {_HIGHEST_EXIT_CODE}", code)


class _Parser(argparse.ArgumentParser):
    """argparse, whose complaints are ours."""

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{self.prog}: {message}.", hint=f"See `{self.prog} --help`.")


def _run_recipe(flags: Flags, console: Console) -> int:
    from luthier.cli.recipe import run_recipe

    return run_recipe(flags, console)


def _failure(error: Exception) -> LuthierError:
    """An error that nobody expected: of the plugin in whose code it arose, or luthier's own."""
    from luthier.errors.texts import error_text
    from luthier.plugins.blame import blamed

    bug = "This is a bug in luthier; the traceback above says where."
    failure = blamed(error) or LuthierError(f"{error_text(error)}.", hint=bug)
    failure.__cause__ = error
    return failure
