"""`luthier compare <answers>`: compare recipes on one fixed evaluation set and one budget, and write a report."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.cli.call import Call
from luthier.errors import RecipeError
from luthier.workflows.comparison.contenders import compose_all, contenders

if TYPE_CHECKING:
    from luthier.config.compose import Composer
    from luthier.workflows.comparison.contenders import Contender
    from luthier.workflows.comparison.running import ContenderRunner

SEEDS, SPLITS, UNTIL, MARGIN = "seeds=", "splits=", "until=", "margin="


def declare(parser: argparse.ArgumentParser) -> None:
    usage = (
        "comma-separated values are compared: recipe=zero_shot,lora_sft seeds=3; other overrides apply to all; "
        "splits=5 holds out another part of the data five times; "
        "until=decided margin=0.05 stops each that is known not to be the best"
    )
    parser.add_argument("answers", nargs="*", metavar="key=value", help=usage)
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a training that ran elsewhere: shown, not ranked",
    )
    parser.add_argument(
        "--plan", action="store_true", help="say what would run, and which difference it can see; run nothing"
    )
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composer = call.composer(call.arguments.config_dir)
    seeds, words = _seeds(call.arguments.answers)
    splits, words = _splits(words)
    margin, words = _margin(words)
    compared = contenders(words, composer.catalog)
    compose_all(compared, composer, seeds, splits)
    if call.arguments.plan:
        return _plan(call, compared, seeds or 1, splits or 1, margin)
    from luthier.workflows.comparison.beside import Beside
    from luthier.workflows.comparison.running import REPORT, ContenderRunner, compare
    from luthier.workflows.comparison.terminal import lines

    beside = [Beside.read(folder) for folder in call.arguments.beside]
    config_dir = ["--config-dir", call.arguments.config_dir] if call.arguments.config_dir else []
    runner = ContenderRunner(replace(call.flags, as_json=False).again(), config_dir, call.console)
    if margin is not None:
        if beside:
            raise RecipeError("A race ranks what it runs.", where="--beside", hint="Compare without until=decided.")
        if splits is not None:
            raise RecipeError("A race is of one data split.", where="splits", hint="Compare without until=decided.")
        return _race(call, compared, composer, seeds, margin, runner)
    comparison, place, code = compare(compared, call.arguments.answers, seeds or 1, splits or 1, runner, beside)
    for warning in comparison.warnings():
        call.console.say(f"warning: {warning}")
    record = {**comparison.as_json(), "report": str(place / REPORT)}
    call.console.data(f"{lines(comparison, call.console.table)}\n\n{place / REPORT}", record)
    return code


def _plan(call: Call, compared: list[Contender], seeds: int, splits: int, margin: float | None) -> int:
    """The runs of a comparison, which of them are there already, and which difference they can show."""
    from luthier.workflows.comparison.lock import agree
    from luthier.workflows.comparison.running import announced
    from luthier.workflows.racing.running import before_the_start

    agreed, locked = agree(compared, splits)
    if margin is None:
        said = announced(compared, agreed, locked, seeds, splits)
    else:
        said = before_the_start(compared, agreed, locked, seeds)
    rows = [
        (one.name, str(run.folder.path), "is there already" if run.is_finished else "would run")
        for one in compared
        for run in one.runs
    ]
    record = {
        "said": said,
        "examples": locked.count,
        "runs": [{"contender": name, "run": run, "finished": then != "would run"} for name, run, then in rows],
    }
    call.console.data("\n".join([*said, "", call.console.table(("contender", "run", ""), rows)]), record)
    return 0


def _race(
    call: Call,
    compared: list[Contender],
    composer: Composer,
    seeds: int | None,
    margin: float,
    runner: ContenderRunner,
) -> int:
    from luthier.workflows.comparison.running import REPORT
    from luthier.workflows.racing.outcome import lines
    from luthier.workflows.racing.running import race

    outcome, place, code = race(compared, composer, call.arguments.answers, seeds, margin, runner)
    record = {**outcome.as_json(), "report": str(place / REPORT)}
    call.console.data(f"{lines(outcome, call.console.table)}\n\n{place / REPORT}", record)
    return code


def _margin(words: list[str]) -> tuple[float | None, list[str]]:
    """The margin of a race, None where whole runs are compared, and the other overrides."""
    until = [word for word in words if word.startswith(UNTIL)]
    margin = [word for word in words if word.startswith(MARGIN)]
    rest = [word for word in words if word not in (*until, *margin)]
    if not until and not margin:
        return None, rest
    hint = "Say until=decided margin=0.05: the difference that does not matter to you."
    if not until or until[-1] != "until=decided":
        raise RecipeError(f"{(until or margin)[-1]!r} does not say until=decided.", where=UNTIL[:-1], hint=hint)
    if not margin:
        raise RecipeError("until=decided needs a margin.", where=MARGIN[:-1], hint=hint)
    try:
        value = float(margin[-1].removeprefix(MARGIN))
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise RecipeError(f"{margin[-1]!r} is not between 0 and 1.", where=MARGIN[:-1], hint=hint)
    return value, rest


def _splits(words: list[str]) -> tuple[int | None, list[str]]:
    """The number of data splits, None unless given, and the other overrides; RecipeError unless it is 2 to 20."""
    given = [word for word in words if word.startswith(SPLITS)]
    rest = [word for word in words if not word.startswith(SPLITS)]
    if not given:
        return None, rest
    number = given[-1].removeprefix(SPLITS)
    if not number.isdecimal() or not 2 <= int(number) <= 20:
        raise RecipeError(f"{given[-1]!r} is no number of data splits.", where=given[-1], hint="Say splits=5.")
    return int(number), rest


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
