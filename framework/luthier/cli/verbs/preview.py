"""`luthier preview <answers>`: what the model will see of an example, token by token, and what is trained of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--example", type=int, default=0, metavar="N", help="the first to show, counted from 0")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many to show (default: 1)")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train", help="of which split")
    parser.add_argument("--tokens", action="store_true", help="a line for each token")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page as well")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    asked = call.arguments
    composition = call.composer(asked.config_dir).compose(asked.answers)
    from luthier.reporting.token_ledger.preview import say
    from luthier.workflows.parts import assemble

    data = assemble(composition.config, composition.trust).data  # no folder: nothing is put into quarantine

    there = len(data.examples(asked.split))
    if not 0 <= asked.example < there:
        hint = f"{asked.split} has {there}, counted from 0."
        raise RecipeError(f"There is no example {asked.example} to show.", where="--example", hint=hint)
    last = min(asked.example + max(asked.count, 1), there)
    ledgers = [data.token_ledger(number, asked.split) for number in range(asked.example, last)]
    return say(ledgers, call.console, every_token=asked.tokens, html=asked.html)
