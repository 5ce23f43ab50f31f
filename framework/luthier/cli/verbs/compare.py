"""`luthier compare <answers>`: compare recipes on one fixed evaluation set and one budget, and write a report."""

from __future__ import annotations

import argparse
from dataclasses import replace

from luthier.cli.call import Call
from luthier.errors import RecipeError
from luthier.workflows.comparison.contenders import contenders

SEEDS = "seeds="


def declare(parser: argparse.ArgumentParser) -> None:
    usage = "comma-separated values are compared: recipe=zero_shot,lora_sft seeds=3; other overrides apply to all"
    parser.add_argument("answers", nargs="*", metavar="key=value", help=usage)
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a training that ran elsewhere: shown, not ranked",
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composer = call.composer(call.arguments.config_dir)
    seeds, words = _seeds(call.arguments.answers)
    compared = contenders(words, composer.catalog)
    for contender in compared:
        contender.compose(composer, seeds)
    from luthier.workflows.comparison.beside import Beside
    from luthier.workflows.comparison.running import REPORT, ContenderRunner, compare
    from luthier.workflows.comparison.terminal import lines

    beside = [Beside.read(folder) for folder in call.arguments.beside]
    config_dir = ["--config-dir", call.arguments.config_dir] if call.arguments.config_dir else []
    runner = ContenderRunner(replace(call.flags, as_json=False).again(), config_dir, call.console)
    comparison, place, code = compare(compared, call.arguments.answers, seeds or 1, runner, beside)
    for warning in comparison.warnings():
        call.console.say(f"warning: {warning}")
    record = {**comparison.as_json(), "report": str(place / REPORT)}
    call.console.data(f"{lines(comparison, call.console.table)}\n\n{place / REPORT}", record)
    return code


def _seeds(words: list[str]) -> tuple[int | None, list[str]]:
    """The number of seeds, None unless given, and the other overrides; RecipeError unless it is 1 to 100."""
    given = [word for word in words if word.startswith(SEEDS)]
    rest = [word for word in words if not word.startswith(SEEDS)]
    if not given:
        return None, rest
    number = given[-1].removeprefix(SEEDS)
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise RecipeError(f"{given[-1]!r} is no number of seeds.", where=given[-1], hint="Say seeds=3.")
    if any(word.lstrip("+").startswith("seed=") for word in rest):
        raise RecipeError(
            "seeds=N gives the seeds 0, 1, …, and seed= another.", where=given[-1], hint="Say one of them."
        )
    return int(number), rest
