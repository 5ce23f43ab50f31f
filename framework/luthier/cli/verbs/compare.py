"""`luthier compare <answers>`: recipes, commas between them, on one locked evaluation and one budget; a report."""

from __future__ import annotations

import argparse
from dataclasses import replace

from luthier.cli.call import Call
from luthier.errors import RecipeError
from luthier.workflows.comparison.contenders import contenders

SEEDS = "seeds="


def declare(parser: argparse.ArgumentParser) -> None:
    told = "what is compared, with commas: recipe=zero_shot,lora_sft seeds=3; every other word is for all of them"
    parser.add_argument("answers", nargs="*", metavar="key=value", help=told)
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composer = call.composer(call.arguments.config_dir)
    seeds, words = _seeds(call.arguments.answers)
    found = contenders(words, composer.catalog)
    for contender in found:
        contender.compose(composer, seeds)
    from luthier.workflows.comparison.running import REPORT, Carrier, compare
    from luthier.workflows.comparison.terminal import lines

    config_dir = ["--config-dir", call.arguments.config_dir] if call.arguments.config_dir else []
    carrier = Carrier(replace(call.flags, as_json=False).again(), config_dir, call.console)
    comparison, place, code = compare(found, call.arguments.answers, seeds or 1, carrier)
    for warning in comparison.warnings():
        call.console.say(f"warning: {warning}")
    record = {**comparison.as_json(), "report": str(place / REPORT)}
    call.console.data(f"{lines(comparison, call.console.table)}\n\n{place / REPORT}", record)
    return code


def _seeds(words: list[str]) -> tuple[int | None, list[str]]:
    """How many seeds, and the other words; RecipeError where that is no number."""
    said = [word for word in words if word.startswith(SEEDS)]
    rest = [word for word in words if not word.startswith(SEEDS)]
    if not said:
        return None, rest
    number = said[-1].removeprefix(SEEDS)
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise RecipeError(f"{said[-1]!r} is no number of seeds.", where=said[-1], hint="Say seeds=3.")
    if any(word.lstrip("+").startswith("seed=") for word in rest):
        raise RecipeError(
            "seeds=N gives the seeds 0, 1, …, and seed= another.", where=said[-1], hint="Say one of them."
        )
    return int(number), rest
