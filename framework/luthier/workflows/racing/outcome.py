"""How a race ended: the sentence, a row for each contender, and what it took."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.reporting.figures import format_number, format_signed, title

if TYPE_CHECKING:
    from luthier.workflows.comparison.lock import ExampleLock
    from luthier.workflows.comparison.terms import Terms
    from luthier.workflows.racing.race import Race


@dataclass(frozen=True)
class Row:
    """One contender: its score on what it was measured on, and its difference from the leader there."""

    name: str
    runs: list[Path]
    standing: str
    failed: str = ""
    value: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    measured: int = 0
    trainings: int = 0

    @property
    def interval(self) -> str:
        """The difference from the leader, the greater the better for this contender."""
        if self.change is None or self.low is None or self.high is None:
            return ""
        return f"{format_signed(self.change)} ({format_signed(self.low)} … {format_signed(self.high)})"


@dataclass(frozen=True)
class Outcome:
    """The end of a race, with all that its report shows; the leader comes first."""

    name: str
    command: str
    terms: Terms
    lock: ExampleLock
    seeds: int
    margin: float
    alpha: float
    end: str
    leader: str
    equals: list[str]
    worse: list[str]
    undecided: list[str]
    rows: list[Row]
    whole: tuple[int, int]
    """Measured answers and trainings, had each contender been given all."""

    @classmethod
    def of(cls, race: Race, name: str, command: str, terms: Terms, lock: ExampleLock) -> Outcome:
        standing, leader = race.standing, race.leader
        rows = [_row(race, one) for one in race.racers]
        rows.sort(key=lambda row: (row.name != leader, bool(row.failed), -(row.change or 0)))
        return cls(
            name, command, terms, lock, race.seeds, race.margin, standing.alpha, standing.end, leader,
            [one for one in standing.names if one in standing.equals],
            [one for one, stop in standing.stopped.items() if stop.why == "worse"],
            [one for one in standing.running if one != leader], rows,
            (race.count * race.seeds * len(rows), race.seeds * len(rows)),
        )  # fmt: skip

    @property
    def sentences(self) -> list[str]:
        """The end in words."""
        score = title(self.terms.score)
        equal = ", ".join([self.leader, *self.equals])
        heads = {
            "decided": f"Decided: {self.leader} has the best {score}.",
            "not distinguishable": f"Not distinguishable within {self.margin:g}: {equal}.",
            "out of budget": f"Out of budget: {', '.join([self.leader, *self.undecided])} are still in the race, "
            f"{self.leader} ahead; more examples (evaluation.examples=0 takes all), a wider margin or fewer contenders "
            "would decide.",
        }  # fmt: skip
        text = [heads[self.end]]
        if self.end == "out of budget" and self.equals:
            text.append(f"Not better than another by more than {self.margin:g}: {', '.join(self.equals)}.")
        if self.worse:
            text.append(f"Worse: {', '.join(self.worse)}.")
        if failed := [row.name for row in self.rows if row.failed]:
            text.append(f"Failed and left out: {', '.join(failed)}.")
        return [*text, self.cost, self.certainty]

    @property
    def cost(self) -> str:
        answers, trainings = sum(row.measured for row in self.rows), sum(row.trainings for row in self.rows)
        return (
            f"It took {answers:,} measured answers of {self.whole[0]:,} and {trainings} runs of {self.whole[1]} "
            "that whole runs of all would have taken."
        )

    @property
    def certainty(self) -> str:
        runs = "the one run" if self.seeds == 1 else "the runs"
        return (
            f"All this is said with a chance of at most {self.alpha:.0%} that anything of it is wrong, of {runs} of "
            "each contender that it was given: another seed may train another model."
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "comparison": self.name,
            "command": self.command,
            "score": self.terms.score,
            "budget": self.terms.budget,
            "evaluation": {"split": self.lock.split, "examples": self.lock.count, "sha256": self.lock.examples},
            "seeds": self.seeds,
            "margin": self.margin,
            "alpha": self.alpha,
            "end": self.end,
            "best": self.leader,
            "not_distinguishable": self.equals,
            "worse": self.worse,
            "undecided": self.undecided,
            "sentences": self.sentences,
            "contenders": [{**asdict(row), "runs": list(map(str, row.runs))} for row in self.rows],
        }


def lines(outcome: Outcome, table: Any) -> str:
    """For the terminal: the sentences, and a row for each contender."""
    rows = [
        (
            row.name,
            "-" if row.value is None else format_number(row.value),
            row.interval.replace("−", "-"),
            str(row.measured),
            str(row.trainings),
            row.standing,
        )
        for row in outcome.rows
    ]
    head = ("contender", title(outcome.terms.score), "against the leader", "answers", "runs", "")
    return "\n\n".join(["\n".join(outcome.sentences), table(head, rows)])


def _row(race: Race, name: str) -> Row:
    racer, standing = race.racers[name], race.standing
    runs = [run.folder.path for run in racer.contender.runs[: racer.trainings]]
    if racer.failed is not None:
        return Row(name, runs, "failed", str(racer.failed), measured=racer.measured, trainings=racer.trainings)
    values = race.scores[name]
    mean = float(np.nanmean(values))
    value = mean if racer.better == "higher" else 1 - mean
    stop = standing.stopped.get(name)
    said = race.reason(stop) if stop else "the leader" if name == race.leader else "still in the race"
    row = Row(name, runs, said, "", value, measured=racer.measured, trainings=racer.trainings)
    if name == race.leader:
        return row
    change, low, high = race.against_leader(name)
    return replace(row, change=change, low=low, high=high)
