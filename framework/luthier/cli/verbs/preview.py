"""`luthier preview <answers>`: show the tokens of an example with their messages, masks and loss weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as for `luthier recipe=…`")
    parser.add_argument("--example", type=int, default=0, metavar="N", help="the first to show, counted from 0")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many to show (default: 1)")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train", help="of which split")
    parser.add_argument("--tokens", action="store_true", help="a line for each token")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page as well")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    arguments = call.arguments
    composition = call.composer(arguments.config_dir).compose(arguments.answers)
    from luthier.reporting.token_ledger.preview import say
    from luthier.workflows.parts import assemble

    data = assemble(composition.config, composition.trust).data  # no folder: nothing is put into quarantine

    count = len(data.examples(arguments.split))
    if not 0 <= arguments.example < count:
        hint = f"{arguments.split} has {count}, counted from 0."
        raise RecipeError(f"There is no example {arguments.example} to show.", where="--example", hint=hint)
    last = min(arguments.example + max(arguments.count, 1), count)
    numbers = range(arguments.example, last)
    ledgers = [ledger for number in numbers for ledger in data.token_ledgers(number, arguments.split)]
    for warning in data.warnings:
        call.console.say(warning)
    return say(ledgers, call.console, every_token=arguments.tokens, html=arguments.html)
