"""`luthier distilled RUN …`: what a student is worth, beside the same student without a teacher, and the teacher."""

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
    parser.add_argument("--teacher", metavar="RUN", type=Path, help="a run of the teacher, such as stages=[evaluate]")
    parser.add_argument("--answers", type=int, default=8, help="how many questions are asked to time each (8)")
    parser.add_argument("--tokens", type=int, default=32, help="at most, of each answer (32)")


def act(call: Call) -> int:
    from luthier.api import format_interval, format_signed

    asked = call.arguments
    runs = {"student": asked.run, "without the teacher": asked.without, "teacher": asked.teacher}
    runs = {name: run for name, run in runs.items() if run is not None}
    found = {name: _of(run, asked.answers, asked.tokens) for name, run in runs.items()}
    keys = dict.fromkeys(key for one in found.values() for key in one)
    rows = [(key, *(one.get(key, "") for one in found.values())) for key in keys]
    record: dict[str, Any] = dict(found)
    text = call.console.table(("", *found), rows)
    if asked.without:
        change = _scores(asked.without).compare(_scores(asked.run), only={"loss"})["loss"]
        said = f"{format_signed(change.change.value)} {format_interval(change.change, sign=True)}"
        text += f"\n\nHeld-out loss with the teacher, less that without: {said}, {change.verdict}."
        record["change_of_loss"] = {"value": change.change.value, "low": change.change.low, "high": change.change.high}
    call.console.data(text, record)
    return 0


def _of(run: Path, answers: int, tokens: int) -> dict[str, str]:
    """What is known of a run, in words; what its answers cost is measured in a process of its own."""
    from luthier.api import RunRecord, format_count, format_interval, format_number, format_size

    record = RunRecord.load(run / "record.json")
    found = {"parameters": format_count(record.model.parameters or 0)}
    for one in record.comparisons:
        score = one.after or one.before
        if one.name in MEASURED and score is not None:
            found[one.name.replace("_", " ")] = f"{format_number(score.value)} {format_interval(score)}"
    words = ["measure", str(run), "--answers", str(answers), "--tokens", str(tokens), "--json"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "luthier", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return found | {"answers": _why(done.stderr)}
    cost = json.loads(done.stdout)
    return found | {
        "weights": format_size(cost["weights"]),
        "artifact": format_size(cost["artifact"]),
        "first token after": f"{format_number(cost['first_token'])} s",
        "tokens a second": format_number(cost["tokens_per_second"]) if cost["tokens_per_second"] else "",
        "memory": format_size(cost["memory"]),
    }


def _why(said: str) -> str:
    """Why nothing was measured, as the process said it."""
    try:
        return f"not measured: {json.loads(said)['message']}"
    except (ValueError, KeyError):
        return "not measured"


def _scores(run: Path) -> Scores:
    from luthier.api import Scores, ratio

    folder = run / "scores" / "after"
    if not (folder / "scores.json").is_file():
        raise RecipeError(f"{run} was not measured after its training.", where="--without")
    names = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["examples"]
    return Scores.load(folder, dict.fromkeys((name.rpartition("/")[2] for name in names), ratio))


VERB = Verb("distilled", "Say what a student is worth, beside the same student without a teacher", declare, act)
