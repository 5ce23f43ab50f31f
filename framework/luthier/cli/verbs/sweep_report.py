"""`luthier sweep-report SWEEP`: what a sweep found, on the terminal, as JSON and as a page; its best as a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call
from luthier.config.names import refuse_bad_name
from luthier.disk.writing import write_text
from luthier.errors import RecipeError

PAGE = "report.html"


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", metavar="SWEEP", type=Path, help="the folder of a sweep, such as sweeps/search")
    parser.add_argument("--recipe", metavar="NAME", help="write the best trial as recipes/recipe/NAME.yaml")


def act(call: Call) -> int:
    from luthier.reporting.figures import format_number
    from luthier.workflows.sweeps.report import SweepReport
    from luthier.workflows.sweeps.report_page import page

    folder = call.arguments.sweep
    report = SweepReport.read(folder)
    write_text(folder / PAGE, page(report))
    record = {**report.as_json(), "report": str(folder / PAGE)}
    best = set(report.best)
    rows = [
        (
            f"{trial.number}{' *' if trial.number in best else ''}",
            trial.state,
            ", ".join(map(format_number, trial.values)),
            " ".join(f"{key}={value}" for key, value in trial.params.items())
            + (f"  ({trial.reason})" if trial.reason else ""),
        )
        for trial in report.trials
    ]
    head = ("trial", "", ", ".join(report.objectives), "with")
    parts = [f"{report.counts}; *: {'the front' if len(report.objectives) > 1 else 'the best'}"]
    parts.append(call.console.table(head, rows))
    if report.importance:
        shares = [
            (name, f"{one.value:.2f} ({one.low:.2f} … {one.high:.2f})") for name, one in report.importance.items()
        ]
        parts.append(call.console.table(("setting", "share in what is good"), shares))
    if call.arguments.recipe:
        written = _write_recipe(call, report.words, call.arguments.recipe)
        record |= {"recipe": str(written), "run": call.flags.to_paste(f"recipe={call.arguments.recipe}")}
        parts.append(f"{written}\n{record['run']}")
    elif report.words:
        parts.append(f"again:  {call.flags.to_paste(*report.words)}")
    call.console.data("\n\n".join([*parts, str(folder / PAGE)]), record)
    return 0


def _write_recipe(call: Call, words: list[str], name: str) -> Path:
    from luthier.workflows.sweeps.best_recipe import recipe_of

    refuse_bad_name(name, where="--recipe")
    written = Path("recipes", "recipe", f"{name}.yaml")
    if written.exists():
        raise RecipeError(f"{written} is there already.", where=str(written), hint="Say another name.")
    if not words:
        raise RecipeError("No trial of the sweep has finished.", where=str(call.arguments.sweep))
    text = recipe_of(words, name, f"The best of {call.arguments.sweep}.", call.catalog())
    written.parent.mkdir(parents=True, exist_ok=True)
    write_text(written, text)
    try:
        call.composer().compose([f"recipe={name}"])
    except RecipeError:
        written.unlink()
        raise
    return written
