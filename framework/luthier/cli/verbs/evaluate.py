"""`luthier evaluate RUN [RUN …]`: measure finished runs again, all on the same examples, and compare them."""

from __future__ import annotations

import argparse
from functools import partial

from luthier.cli.call import Call


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
    from luthier.workflows.finished_run import Finished

    asked = call.arguments

    def load(run: str) -> Finished:
        return Finished.load(run, plugins=call.plugins, vouched=tuple(call.flags.trusted))

    first = load(asked.runs[0])
    evaluation, examples = first.evaluation(examples=asked.examples), first.examples(asked.split)
    ready = {asked.runs[0]: first}
    del first

    def subject(run: str) -> Predictor:
        finished = ready.pop(run, None) or load(run)
        if known := finished.trained_on(examples):
            call.console.say(f"warning: {run} was trained on {known} of the {len(examples)} examples it is measured on")
        return finished.subject

    runs = dict.fromkeys(asked.runs)
    found = side_by_side({run: partial(subject, run) for run in runs}, evaluation, {asked.split: examples})
    for warning in found.warnings():
        call.console.say(f"warning: {warning}")
    call.console.data(lines(found), found.as_json())
    return 0
