"""`luthier evaluate RUN [RUN …] [key=value …]`: evaluate finished runs on the same examples and compare them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.cli.call import Call
from luthier.errors import DataError, RecipeError

if TYPE_CHECKING:
    from luthier.workflows.finished_run import FinishedRun

OWN_SPLIT = "test"


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="the folder of a finished run, or an artifact; key=value, such as data.file=new.csv or "
        "evaluation/task=generation, measures them on other data or in another way",
    )
    parser.add_argument(
        "--split", help="train, validation, test or all, of the first run's data (default: test; of other data: all)"
    )
    parser.add_argument(
        "--examples", type=int, help="how many of them (default: as the first run's recipe says; 0: all)"
    )
    part = (
        "only the recipe's score, on these of the examples in an order drawn by evaluation.seed; --json has each value"
    )
    parser.add_argument("--part", metavar="FIRST:LAST", help=part)


def act(call: Call) -> int:
    runs, words = _told_apart(call.arguments.runs)
    if call.arguments.part is not None:
        return _part(call, runs, words)
    from luthier.contracts.predictor import Predictor
    from luthier.evaluation.side_by_side import side_by_side
    from luthier.evaluation.side_by_side_table import lines

    first = _load(call, runs[0], words)
    split = call.arguments.split or _default_split(first)
    evaluation, examples = first.evaluation(examples=call.arguments.examples), first.examples(split)
    if words:
        call.console.say(f"measured as the first run says, with {' '.join(words)}: {len(examples)} examples ({split})")
    if evaluation.memorised:
        call.console.say("note: what a model knows by heart is looked at in a run, before it trains, and not here")
    ready = {runs[0]: first}
    del first

    def predictor(run: str) -> Predictor:
        finished = ready.pop(run, None) or _load(call, run, words)
        for note in finished.notes:
            call.console.say(f"note: {run}: {note}")
        if seen := finished.trained_on(examples):
            call.console.say(f"warning: {run} was trained on {seen} of the {len(examples)} examples it is evaluated on")
        return finished.predictor

    results = side_by_side({run: partial(predictor, run) for run in runs}, evaluation, {split: examples})
    for warning in results.warnings():
        call.console.say(f"warning: {warning}")
    call.console.data(lines(results), results.as_json())
    if unscored := [run for run, scores in results.scores.items() if not scores.measurements]:
        who = ", ".join(unscored)
        raise DataError(f"Nothing could be scored of {who}: no score has a value for any of {len(examples)} examples.")
    return 0


def _told_apart(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """The runs, each once, and the words that say of what they are measured; RecipeError without a run."""
    words = [word for word in given if "=" in word and not Path(word).exists()]
    runs = list(dict.fromkeys(word for word in given if word not in words))
    if not runs:
        raise RecipeError("No run is named.", where="luthier evaluate", hint="Say luthier evaluate RUN data.file=….")
    return runs, words


def _load(call: Call, run: str, words: Sequence[str]) -> FinishedRun:
    from luthier.config.changed import changed
    from luthier.workflows.finished_run import MEASURED, FinishedRun

    change = partial(changed, words=words, composer=call.composer(), parts=MEASURED) if words else None
    return FinishedRun.load(
        run, plugins=call.plugins, vouched=tuple(call.flags.trusted), changed=change, needs_data=not words
    )


def _default_split(run: FinishedRun) -> str:
    from luthier.workflows.finished_run import EVERY

    return EVERY if run.other is not None else OWN_SPLIT


def _part(call: Call, runs: Sequence[str], words: Sequence[str]) -> int:
    """The score of one run on some of its examples, with the value of each: what the rounds of a race ask for."""
    from luthier.reporting.figures import format_interval, format_number

    arguments = call.arguments
    first, colon, last = arguments.part.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise RecipeError(f"{arguments.part!r} is no part of the examples.", where="--part", hint="Say --part 0:32.")
    if len(runs) > 1:
        raise RecipeError("--part measures one run.", where="--part", hint="Leave it out to compare several.")
    run = _load(call, runs[0], words)
    name = str(run.recipe["score"])
    evaluation = run.evaluation(examples=arguments.examples).of_part(int(first), int(last))
    examples = run.examples(arguments.split or _default_split(run))
    if not evaluation.choose(examples):
        raise DataError(f"The split {arguments.split or 'test'!r} has no examples {first} to {last}.", where="--part")
    measured = evaluation.measurement(run.predictor, name, examples)
    score = measured.score(evaluation.bootstrap)
    record = {
        "run": runs[0], "score": name, "value": score.value, "better": measured.better,
        "digest": measured.examples, "values": measured.values(),
    }  # fmt: skip
    text = f"{name} {format_number(score.value)} ({format_interval(score)}, n = {score.count})"
    call.console.data(text, record)
    return 0
