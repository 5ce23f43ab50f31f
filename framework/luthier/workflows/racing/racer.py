"""A contender of a race: trains seed by seed, is measured part by part, and keeps both in the folders of its runs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.disk.reading import read_json
from luthier.disk.writing import write_json
from luthier.errors import LuthierError, PluginError, RecipeError
from luthier.training.child_processes import failure
from luthier.workflows.sweeps import jobs

if TYPE_CHECKING:
    from luthier.evaluation.bootstrap import Floats
    from luthier.workflows.comparison.contenders import Contender
    from luthier.workflows.comparison.lock import ExampleLock
    from luthier.workflows.comparison.running import ContenderRunner

PARTS = "race"
"""The folder of a run that holds the values of the parts that were measured."""


@dataclass
class Racer:
    """What a contender was given so far, and why it failed, where it did."""

    contender: Contender
    runner: ContenderRunner
    locked: ExampleLock
    better: str
    failed: LuthierError | None = None
    parts: dict[tuple[int, int, int], tuple[str, Floats]] = field(default_factory=dict)
    """By seed, first and last example: the digest of the examples, and the values, the greater the better."""

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def trainings(self) -> int:
        return len({seed for seed, *_ in self.parts})

    @property
    def measured(self) -> int:
        """How often an example was measured, once for each seed."""
        return sum(last - first for _, first, last in self.parts)

    def scores(self, seeds: int, rounds: list[int]) -> Floats:
        """The value of each example up to the last round's, [examples], a mean over the seeds; runs what is missing."""
        of_seeds = []
        for seed in range(seeds):
            self._train(seed)
            firsts = [0, *rounds[:-1]]
            of_seeds.append(np.concatenate([self._part(seed, *part)[1] for part in zip(firsts, rounds, strict=True)]))
        if len({len(values) for values in of_seeds}) > 1:
            raise RecipeError(f"The seeds of {self.name} were measured on different examples.")
        mean: Floats = np.stack(of_seeds).mean(0)
        return mean

    def digests(self, seeds: int) -> dict[tuple[int, int], str]:
        """What each part was measured on."""
        return {(first, last): digest for (seed, first, last), (digest, _) in self.parts.items() if seed < seeds}

    def _train(self, seed: int) -> None:
        run = self.contender.runs[seed]
        if any(known == seed for known, *_ in self.parts) or run.is_finished:
            return
        how = "goes on …" if run.is_resumable else "begins …"
        self.runner.console.say(f"{self.name}, seed {seed + 1}: {run.folder.path} {how}")
        if code := run.carry_out([*self.runner.flags, *self.runner.config_dir], self.runner.console):
            raise failure(self.name, code, where=str(run.folder.path))

    def _part(self, seed: int, first: int, last: int) -> tuple[str, Floats]:
        key = (seed, first, last)
        if key not in self.parts:
            folder = self.contender.runs[seed].folder.path
            file = folder / PARTS / f"{self.locked.split}-{first}-{last}.json"
            if not (record := read_json(file)):
                self.runner.console.say(f"{self.name}, seed {seed + 1}: examples {first + 1} to {last} …")
                record = self._measured(folder, first, last)
                file.parent.mkdir(exist_ok=True)
                write_json(file, record)
            self.parts[key] = record["digest"], self._upward(record, file)
        return self.parts[key]

    def _upward(self, record: dict[str, Any], file: Path) -> Floats:
        """The values, the greater the better; PluginError where they are not what the metric promises."""
        values = np.array([np.nan if value is None else value for value in record["values"]], dtype=np.float64)
        seen = values[~np.isnan(values)]
        if seen.size and not (seen.min() >= 0 and seen.max() <= 1):
            message = f"{record['score']} says that it is from 0 to 1, and has {seen.min():g} … {seen.max():g}."
            raise PluginError(message, where=str(file))
        return values if self.better == "higher" else 1 - values

    def _measured(self, run: Path, first: int, last: int) -> dict[str, Any]:
        """`luthier evaluate RUN --part` in a process of its own."""
        words = ["evaluate", str(run), "--split", self.locked.split, "--part", f"{first}:{last}"]
        code, out, err = jobs.answer(self.runner.flags, words)
        if code:
            error = failure(f"{self.name}, measured on examples {first + 1} to {last},", code, where=str(run))
            error.hint = f"It said: {err.strip()[-500:]}"
            raise error
        record: dict[str, Any] = json.loads(out)
        return record
