"""Hydra's flags and overrides on the command line of a recipe."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from luthier.errors import RecipeError, Refused
from luthier.errors.suggestions import nearest

ELSEWHERE = ("--experimental-rerun", "--config-path", "--config-name")
"""Hydra's flags that would take the recipe from outside of the recipe folders."""
OWN_FLAGS = ("--json", "--debug", "--trace-hooks", "--trust", "-p")


class _Parser(ArgumentParser):
    """Hydra's parser; its usage errors are RecipeErrors."""

    def __init__(self) -> None:
        super().__init__(parents=[get_args_parser()], add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{message[:1].upper()}{message[1:]}.", hint="See `luthier --help`.")


def parse(words: Sequence[str]) -> Namespace:
    """Parse Hydra's flags and the overrides.

    Raises RecipeError with the nearest name for an unknown flag and for flags that exclude each other, and Refused
    (exit 6) for a flag that takes the recipe from outside of the recipe folders.
    """
    parser = _Parser()
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        flag, known = unknown[0].partition("=")[0], [*parser._option_string_actions, *OWN_FLAGS]
        raise RecipeError(f"There is no flag {flag!r}.", where=unknown[0], hint=nearest(flag, known, "There are"))
    for flag in ELSEWHERE:
        if getattr(arguments, flag[2:].replace("-", "_")) is not None:
            hint = "Use --config-dir DIR and recipe=NAME."
            raise Refused(f"{flag} would take the recipe from outside of the recipe folders.", where=flag, hint=hint)
    modes = (arguments.cfg is not None, arguments.multirun, arguments.run, arguments.info is not None)
    if sum((*modes, bool(arguments.shell_completion))) > 1:
        raise RecipeError("Only one of --run, --multirun, --cfg, --info and --shell-completion can be given.")
    if arguments.resolve and not arguments.cfg:
        raise RecipeError("--resolve needs --cfg.", where="--resolve")
    return arguments
