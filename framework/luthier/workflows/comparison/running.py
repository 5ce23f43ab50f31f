"""Carry out a comparison: each run that is not cached in a process of its own, then the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.command_line import to_paste
from luthier.disk.leftovers import sweep
from luthier.disk.reading import read_json
from luthier.disk.writing import write_json, write_text
from luthier.errors.exit_codes import MEANINGS
from luthier.records.folder import RunFolder
from luthier.training.child_processes import failure
from luthier.workflows.comparison import power
from luthier.workflows.comparison.beside import Beside
from luthier.workflows.comparison.contenders import Contender
from luthier.workflows.comparison.lock import ExampleLock, agree
from luthier.workflows.comparison.page import page
from luthier.workflows.comparison.results import INFERENCE, Comparison, Result
from luthier.workflows.comparison.terms import Terms
from luthier.workflows.parts import part
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.evaluation.evaluation import Evaluation
    from luthier.reporting.console import Console

FOLDER = Path("comparisons")
LONGEST_NAME = 80
REPORT, RECORD = "report.html", "comparison.json"


@dataclass(frozen=True)
class ContenderRunner:
    """Carries out the runs of contenders with luthier's own flags and the additional folder of recipes."""

    flags: Sequence[str]
    config_dir: Sequence[str]
    console: Console

    def carry_out(self, contender: Contender, locked: ExampleLock) -> int:
        """Carry out its runs and measure the inference cost of the first; the exit code of the first run that fails."""
        for number, run in enumerate(contender.runs, 1):
            is_cached = run.is_finished
            how = "is there already" if is_cached else "goes on …" if run.is_resumable else "begins …"
            self.console.say(f"{contender.name}, run {number} of {len(contender.runs)}: {run.folder.path} {how}")
            if not is_cached and (code := run.carry_out([*self.flags, *self.config_dir], self.console)):
                self.console.say(f"warning: {contender.name} ended with exit code {code} and is left out")
                return code
            locked.of_run(number - 1, len(contender.runs)).refuse_others(contender.name, run.folder.path)
        first = contender.runs[0].folder
        if not read_json(first.path / INFERENCE):
            self.console.say(f"{contender.name}: timing its answers …")
            self._time_answers(first)
        return 0

    def _time_answers(self, folder: RunFolder) -> None:
        """Run `luthier measure` in its own process, so that peak memory is that of one contender."""
        code, out, err = jobs.answer(self.flags, ["measure", str(folder.path)])
        costs = {"problem": _problem(err, code)} if code else json.loads(out)
        write_json(folder.path / INFERENCE, costs)


def compare(
    contenders: list[Contender],
    command: Sequence[str],
    seeds: int,
    splits: int,
    runner: ContenderRunner,
    beside: Sequence[Beside] = (),
) -> tuple[Comparison, Path, int]:
    """The comparison, its folder, and the exit code of the first run that failed; the others are compared.

    Evaluation, budget and examples are checked to be equal before anything runs. `beside` is shown and not ranked.
    """
    agreed, locked = agree(contenders, splits)
    for line in announced(contenders, agreed, locked, seeds, splits):
        runner.console.say(line)
    failures = {one.name: runner.carry_out(one, locked) for one in contenders}
    codes = [code for code in failures.values() if code]
    if len(codes) == len(contenders):
        raise failure("Every contender", codes[0], where=str(contenders[0].runs[0].folder.path))
    results = [Result.read(one, _failure_text(failures[one.name])) for one in contenders]
    words = [*command, *(word for one in beside for word in ("--beside", str(one.folder)))]
    command_line = to_paste("compare", *words, flags=[*runner.flags, *runner.config_dir])
    comparison = Comparison(
        name_of(contenders, locked, agreed), command_line, agreed, locked, seeds, results, list(beside), splits
    )
    place = FOLDER / comparison.name
    place.mkdir(parents=True, exist_ok=True)
    sweep(place, locked=False)
    write_json(place / RECORD, comparison.as_json())
    write_text(place / REPORT, page(comparison, place))
    return comparison, place, codes[0] if codes else 0


def announced(
    contenders: Sequence[Contender], agreed: Terms, locked: ExampleLock, seeds: int, splits: int
) -> list[str]:
    """What is said before the start: how many, of which examples, at which budget, and which difference can be seen."""
    composition = contenders[0].composition
    evaluation: Evaluation = part(composition.config, composition.trust, "evaluation")
    seen = power.sentence(
        locked.count // splits, seeds, splits, locked.held_out, bounded=evaluation.is_bounded(agreed.score),
        confidence=evaluation.bootstrap.confidence,
    )  # fmt: skip
    of_splits = f" of {splits} data splits" if splits > 1 else ""
    return [
        f"{len(contenders)} contenders, {seeds} seeds, {locked.count} examples of {locked.split}{of_splits}",
        f"budget: {agreed.budget or 'none, nothing is trained'}",
        seen,
    ]


def _problem(stderr: str, code: int) -> str:
    try:
        return str(json.loads(stderr.strip().splitlines()[-1])["message"])
    except (ValueError, KeyError, IndexError):
        return f"luthier measure ended with exit code {code}."


def _failure_text(code: int) -> str:
    return f"exit code {code}: {MEANINGS.get(code, 'killed by a signal')}" if code else ""


def name_of(contenders: list[Contender], locked: ExampleLock, agreed: Terms) -> str:
    """The contenders' names and a hash of runs, examples and evaluation, so that each comparison has its own folder."""
    who = "-vs-".join("".join(c if c.isalnum() or c in "._-" else "-" for c in one.name) for one in contenders)
    keys = [run.key for one in contenders for run in one.runs]
    digest = hashlib.sha256(json.dumps([keys, locked.examples, agreed.evaluation]).encode()).hexdigest()[:8]
    return f"{who[:LONGEST_NAME].rstrip('-')}-{digest}"
