"""`luthier distilled RUN …`: a distilled student compared with the same student without a teacher, and the teacher."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import Call, RecipeError, Verb

if TYPE_CHECKING:
    from luthier.api import Scores

MEASURED = ("loss", "teacher_agreement", "teacher_loss")


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run of method=distill")
    parser.add_argument("--without", metavar="RUN", type=Path, help="the same student, trained without the teacher")
    parser.add_argument("--teacher", metavar="RUN", type=Path, help="a run of the teacher, such as 'stages=[evaluate]'")
    parser.add_argument("--answers", type=int, default=8, help="how many questions each answers to be timed (8)")
    parser.add_argument("--tokens", type=int, default=32, help="at most, of each answer (32)")


def act(call: Call) -> int:
    from luthier.api import format_interval, format_signed

    arguments = call.arguments
    runs = {"student": arguments.run, "without the teacher": arguments.without, "teacher": arguments.teacher}
    runs = {name: run for name, run in runs.items() if run is not None}
    columns = {name: _column(run, arguments.answers, arguments.tokens) for name, run in runs.items()}
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    rows = [(key, *(column.get(key, "") for column in columns.values())) for key in keys]
    record: dict[str, Any] = dict(columns)
    text = call.console.table(("", *columns), rows)
    if arguments.without:
        change = _scores(arguments.without).compare(_scores(arguments.run), only={"loss"})["loss"]
        difference = f"{format_signed(change.change.value)} {format_interval(change.change, sign=True)}"
        text += f"\n\nHeld-out loss with the teacher, less that without: {difference}, {change.verdict}."
        record["change_of_loss"] = {"value": change.change.value, "low": change.change.low, "high": change.change.high}
    call.console.data(text, record)
    return 0


def _column(run: Path, answers: int, tokens: int) -> dict[str, str]:
    """A run's column of the table; latency, throughput and memory are measured in a process of its own."""
    from luthier.api import RunRecord, format_count, format_interval, format_number, format_size

    record = RunRecord.load(run / "record.json")
    column = {"parameters": format_count(record.model.parameters or 0)}
    for comparison in record.comparisons:
        score = comparison.after or comparison.before
        if comparison.name in MEASURED and score is not None:
            column[comparison.name.replace("_", " ")] = f"{format_number(score.value)} {format_interval(score)}"
    command = ["measure", str(run), "--answers", str(answers), "--tokens", str(tokens), "--json"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "luthier", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return column | {"answers": _reason(done.stderr)}
    cost = json.loads(done.stdout)
    return column | {
        "weights": format_size(cost["weights"]),
        "artifact": format_size(cost["artifact"]),
        "first token after": f"{format_number(cost['first_token'])} s",
        "tokens a second": format_number(cost["tokens_per_second"]) if cost["tokens_per_second"] else "",
        "memory": format_size(cost["memory"]),
    }


def _reason(stderr: str) -> str:
    """Why nothing was measured, by the error of the process."""
    try:
        return f"not measured: {json.loads(stderr)['message']}"
    except (ValueError, KeyError):
        return "not measured"


def _scores(run: Path) -> Scores:
    from luthier.api import Scores, ratio

    folder = run / "scores" / "after"
    if not (folder / "scores.json").is_file():
        raise RecipeError(f"{run} was not measured after its training.", where="--without")
    names = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["examples"]
    return Scores.load(folder, dict.fromkeys((name.rpartition("/")[2] for name in names), ratio))


VERB = Verb("distilled", "Compare a distilled student with the same student without a teacher", declare, act)
