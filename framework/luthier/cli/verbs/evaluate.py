"""`luthier evaluate RUN [RUN …]`: evaluate finished runs on the same examples and compare them."""

from __future__ import annotations

import argparse
from functools import partial

from luthier.cli.call import Call
from luthier.errors import DataError, RecipeError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folder of a finished run, or an artifact")
    parser.add_argument("--split", default="test", help="of the first run's data (default: test)")
    parser.add_argument(
        "--examples", type=int, help="how many of them (default: as the first run's recipe says; 0: all)"
    )
    part = (
        "only the recipe's score, on these of the examples in an order drawn by evaluation.seed; --json has each value"
    )
    parser.add_argument("--part", metavar="FIRST:LAST", help=part)


def act(call: Call) -> int:
    if call.arguments.part is not None:
        return _part(call)
    from luthier.contracts.predictor import Predictor
    from luthier.evaluation.side_by_side import side_by_side
    from luthier.evaluation.side_by_side_table import lines
    from luthier.workflows.finished_run import FinishedRun

    arguments = call.arguments

    def load(run: str) -> FinishedRun:
        return FinishedRun.load(run, plugins=call.plugins, vouched=tuple(call.flags.trusted))

    first = load(arguments.runs[0])
    evaluation, examples = first.evaluation(examples=arguments.examples), first.examples(arguments.split)
    ready = {arguments.runs[0]: first}
    del first

    def predictor(run: str) -> Predictor:
        finished = ready.pop(run, None) or load(run)
        for note in finished.notes:
            call.console.say(f"note: {run}: {note}")
        if seen := finished.trained_on(examples):
            call.console.say(f"warning: {run} was trained on {seen} of the {len(examples)} examples it is evaluated on")
        return finished.predictor

    runs = dict.fromkeys(arguments.runs)
    results = side_by_side({run: partial(predictor, run) for run in runs}, evaluation, {arguments.split: examples})
    for warning in results.warnings():
        call.console.say(f"warning: {warning}")
    call.console.data(lines(results), results.as_json())
    if unscored := [run for run, scores in results.scores.items() if not scores.measurements]:
        who = ", ".join(unscored)
        raise DataError(f"Nothing could be scored of {who}: no score has a value for any of {len(examples)} examples.")
    return 0


def _part(call: Call) -> int:
    """The score of one run on some of its examples, with the value of each: what the rounds of a race ask for."""
    from luthier.reporting.figures import format_interval, format_number
    from luthier.workflows.finished_run import FinishedRun

    arguments = call.arguments
    first, colon, last = arguments.part.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise RecipeError(f"{arguments.part!r} is no part of the examples.", where="--part", hint="Say --part 0:32.")
    if len(arguments.runs) > 1:
        raise RecipeError("--part measures one run.", where="--part", hint="Leave it out to compare several.")
    run = FinishedRun.load(arguments.runs[0], plugins=call.plugins, vouched=tuple(call.flags.trusted))
    name = str(run.recipe["score"])
    evaluation = run.evaluation(examples=arguments.examples).of_part(int(first), int(last))
    examples = run.examples(arguments.split)
    if not evaluation.choose(examples):
        raise DataError(f"The split {arguments.split!r} has no examples {first} to {last}.", where="--part")
    measured = evaluation.measurement(run.predictor, name, examples)
    score = measured.score(evaluation.bootstrap)
    record = {
        "run": arguments.runs[0], "score": name, "value": score.value, "better": measured.better,
        "digest": measured.examples, "values": measured.values(),
    }  # fmt: skip
    text = f"{name} {format_number(score.value)} ({format_interval(score)}, n = {score.count})"
    call.console.data(text, record)
    return 0
