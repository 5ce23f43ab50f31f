"""The results of each contender: scores with per-example statistics, and the costs of training and inference."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.config.importing import named
from luthier.disk.reading import read_json
from luthier.evaluation.scores import Scores
from luthier.records.folder import RunFolder
from luthier.reporting.record import RunRecord
from luthier.workflows.comparison.beside import Beside
from luthier.workflows.comparison.standings import ContenderDifference, Standings, change, standings
from luthier.workflows.parts import part

if TYPE_CHECKING:
    from luthier.evaluation.evaluation import Evaluation
    from luthier.workflows.comparison.contenders import Contender
    from luthier.workflows.comparison.lock import ExampleLock
    from luthier.workflows.comparison.terms import Terms

INFERENCE = "inference.json"
FORGETTING = "general_loss"


@dataclass
class Result:
    """One contender: its finished runs, one a seed, or why it has none."""

    name: str
    words: list[str]
    purpose: str = ""
    runs: list[Path] = field(default_factory=list)
    failed: str = ""
    records: list[RunRecord] = field(default_factory=list)
    before: list[Scores] = field(default_factory=list)
    after: list[Scores] = field(default_factory=list)
    trained: bool = False
    inference: dict[str, Any] = field(default_factory=dict)
    bounded: frozenset[str] = frozenset()
    """The scores that lie between 0 and 1."""

    @classmethod
    def read(cls, contender: Contender, failed: str) -> Result:
        """Read from the folders of its runs."""
        composition = contender.composition
        result = cls(contender.name, contender.words, composition.purpose, failed=failed)
        if failed:
            return result
        evaluation: Evaluation = part(composition.config, composition.trust, "evaluation")
        reductions = evaluation.reductions(named(str(composition.config.method["_target_"])))
        result.bounded = frozenset(filter(evaluation.is_bounded, evaluation.task.metrics))
        for run in contender.runs:
            folder = RunFolder(run.folder.path)
            result.runs.append(folder.path)
            result.records.append(RunRecord.load(folder.record))
            result.after.append(Scores.load(folder.scores / "after", reductions))
            if (folder.scores / "before").is_dir():
                result.before.append(Scores.load(folder.scores / "before", reductions))
            result.trained = result.trained or result.records[-1].training.steps is not None
        result.inference = read_json(result.runs[0] / INFERENCE)
        return result

    @property
    def training(self) -> dict[str, float | None]:
        """Means over the seeds; 0 where no weight moved, None where it is not known."""
        names = ("seconds", "tokens", "steps", "peak_memory", "joules")
        if not self.trained:
            return {**dict.fromkeys(names, 0.0), "peak_memory": None, "trained": 0.0, "whole": self._whole}
        means = {name: _mean(getattr(record.training, name) for record in self.records) for name in names}
        return {**means, "trained": _mean(record.model.trained for record in self.records), "whole": self._whole}

    @cached_property
    def forgetting(self) -> ContenderDifference | None:
        """The change of the loss on general text; None where it was not measured before and after."""
        pairs = [each.measurements.get(FORGETTING) for each in (*self.before, *self.after)]
        if not self.trained or len(self.before) != len(self.after) or None in pairs:
            return None
        middle = len(self.before)
        return change(pairs[:middle], pairs[middle:], self.after[0].bootstrap)  # type: ignore[arg-type]

    @property
    def _whole(self) -> float | None:
        return _mean(record.seconds for record in self.records)


@dataclass
class Comparison:
    """Everything that the report shows; what failed is among the results, with the reason."""

    name: str
    command: str
    terms: Terms
    lock: ExampleLock
    seeds: int
    results: list[Result]
    beside: list[Beside] = field(default_factory=list)
    splits: int = 1

    @property
    def finished(self) -> list[Result]:
        return [result for result in self.results if not result.failed]

    @cached_property
    def standings(self) -> dict[str, Standings]:
        """By score, the compared one first; only scores that all have on the same examples and tokens."""
        measured = {one.name: one.after for one in self.finished}
        names = [
            name
            for name in self.finished[0].after[0]
            if all(name in scores for of in measured.values() for scores in of)
        ]
        names = sorted(names, key=lambda name: name != self.terms.score)
        bootstrap = self.finished[0].after[0].bootstrap
        by_name = {
            name: standings(
                name,
                {one: [scores.measurements[name] for scores in of] for one, of in measured.items()},
                bootstrap,
                held_out=self.lock.held_out,
                bounded=name in self.finished[0].bounded,
            )
            for name in names
        }
        return {name: one for name, one in by_name.items() if one is not None}

    @property
    def confidence(self) -> float:
        return self.finished[0].after[0].bootstrap.confidence

    def warnings(self) -> list[str]:
        """What a reader must not miss."""
        warnings = [f"{one.name} failed and is not compared: {one.failed}" for one in self.results if one.failed]
        if self.seeds == self.splits == 1:
            warnings.append(
                "One seed: the intervals hold the choice of examples, not the luck of training. Say seeds=3."
            )
        warnings += [
            f"{one.name} could not be timed: {p}" for one in self.finished if (p := one.inference.get("problem"))
        ]
        several = {result.inference["device"] for result in self.finished if "device" in result.inference}
        if len(several) > 1:
            warnings.append(f"Answers were timed on different devices: {', '.join(sorted(several))}.")
        devices = {record.training.device for one in self.finished for record in one.records if record.training.device}
        if len(devices) > 1:
            warnings.append(
                f"Trained on different devices, so that times do not compare: {', '.join(sorted(devices))}."
            )
        return warnings

    def as_json(self) -> dict[str, Any]:
        scores = self.standings
        return {
            "comparison": self.name,
            "command": self.command,
            "score": self.terms.score,
            "evaluation": {"split": self.lock.split, "examples": self.lock.count, "sha256": self.lock.examples,
                           "settings": self.terms.evaluation},
            "budget": self.terms.budget,
            "seeds": self.seeds,
            "splits": self.splits,
            "confidence": self.confidence,
            "contenders": [_as_json(one) for one in self.results],
            "scores": {name: standing.as_json() for name, standing in scores.items()},
            "beside": [one.as_json() for one in self.beside],
            "warnings": self.warnings(),
        }  # fmt: skip


def _as_json(one: Result) -> dict[str, Any]:
    forgot = one.forgetting
    return {
        "name": one.name,
        "words": one.words,
        "failed": one.failed,
        "runs": list(map(str, one.runs)),
        "training": {name: value for name, value in one.training.items() if value is not None} if one.records else {},
        "inference": one.inference,
        "forgetting": None if forgot is None else {"general_loss": forgot.change.value, "low": forgot.change.low,
                                                   "high": forgot.change.high, "verdict": forgot.verdict},
    }  # fmt: skip


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
