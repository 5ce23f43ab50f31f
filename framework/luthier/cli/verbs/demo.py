"""`luthier demo`: run the recipe `demo`."""

from __future__ import annotations

import argparse
from dataclasses import replace

from luthier.cli.call import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="change the recipe, as on any command line")


def act(call: Call) -> int:
    from luthier.cli.recipe import run_recipe

    return run_recipe(replace(call.flags, rest=["recipe=demo", *call.arguments.answers]), call.console)
