"""Hydra's flags and overrides on the command line of a recipe, and the limits of a run that are given as flags."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from luthier.errors import RecipeError, Refused
from luthier.errors.suggestions import nearest

ELSEWHERE = ("--experimental-rerun", "--config-path", "--config-name")
"""Hydra's flags that would take the recipe from outside of the recipe folders."""
SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
GIGABYTES = {"": 1.0, "mb": 1e-3, "gb": 1.0, "tb": 1e3}
OWN_FLAGS = ("--json", "--debug", "--trace-hooks", "--trust", "-p")


class _Parser(ArgumentParser):
    """Hydra's parser; its usage errors are RecipeErrors."""

    def __init__(self) -> None:
        super().__init__(parents=[get_args_parser()], add_help=False, allow_abbrev=False)
        self.add_argument("--max-time", type=seconds)
        self.add_argument("--max-disk", type=_gigabytes)

    def error(self, message: str) -> NoReturn:
        raise RecipeError(f"{message[:1].upper()}{message[1:]}.", hint="See `luthier --help`.")


def parse(words: Sequence[str]) -> Namespace:
    """Parse Hydra's flags and the overrides; `--max-time 2h` and `--max-disk 50GB` become settings of the trainer.

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
    limits = {"trainer.max_seconds": arguments.max_time, "trainer.max_disk": arguments.max_disk}
    arguments.overrides += [f"{name}={value:.15g}" for name, value in limits.items() if value is not None]
    return arguments


def seconds(text: str) -> float:
    """A time as typed, such as 90s, 45m, 2h or 1.5d, in seconds; for argparse."""
    return _measure(text, SECONDS, "a time such as 90s, 45m, 2h or 1.5d")


def _gigabytes(text: str) -> float:
    return _measure(text, GIGABYTES, "a size such as 500MB, 50GB or 2TB")


def _measure(text: str, units: Mapping[str, float], wanted: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([a-z]*)", text.strip().lower())
    if match is None or match[2] not in units:
        raise ArgumentTypeError(f"{text!r} is not {wanted}")
    return float(match[1]) * units[match[2]]
