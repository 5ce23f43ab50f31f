"""`luthier reproduce RUN`: make steps of a run again from a checkpoint, and compare them with what it recorded."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from luthier.cli.call import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a run that trained")
    parser.add_argument(
        "--step", type=int, metavar="S", help="go on from its checkpoint of this step; 0: from the beginning"
    )
    parser.add_argument(
        "--steps", type=int, metavar="K", help="so many steps (default: to its next checkpoint, at most 100)"
    )


def act(call: Call) -> int:
    from luthier.workflows.quiet import silence_libraries
    from luthier.workflows.reproduction import RecordedRun, reproduce

    silence_libraries()
    recorded = RecordedRun.at(call.arguments.run)
    start, last = recorded.span(call.arguments.step, call.arguments.steps)
    call.console.say(f"making steps {start + 1} to {last} again …")
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch, "run")
        found = reproduce(recorded, place, start, last, call.plugins, tuple(call.flags.trusted), call.console)
    rows = [
        (name, f"{one.values - len(one.differ):,} of {one.values:,}", ", ".join(one.differ[:3]))
        for name, one in found.compared.items()
    ]
    verdict = "differs" if found.differs else "equal, bit for bit"
    table = call.console.table(("compared", "equal", "differs at"), rows)
    call.console.data(f"{table}\n\nsteps {found.first} to {found.last}: {verdict}", found.as_json())
    found.refuse()
    return 0
