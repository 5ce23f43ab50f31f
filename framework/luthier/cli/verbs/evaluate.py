"""`luthier evaluate RUN [RUN …]`: evaluate finished runs on the same examples and compare them."""

from __future__ import annotations

import argparse
from functools import partial

from luthier.cli.call import Call
from luthier.errors import DataError


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folder of a finished run, or an artifact")
    parser.add_argument("--split", default="test", help="of the first run's data (default: test)")
    parser.add_argument(
        "--examples", type=int, help="how many of them (default: as the first run's recipe says; 0: all)"
    )


def act(call: Call) -> int:
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
