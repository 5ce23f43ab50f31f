"""What a sweep found: its trials, the best or the front, how much each setting matters, and curves."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.disk.reading import read_json
from luthier.errors import DataError, RecipeError
from luthier.fetch.extras import refuse_absent
from luthier.workflows.sweeps import study as studies
from luthier.workflows.sweeps import trials as told
from luthier.workflows.sweeps.jobs import PRUNED

if TYPE_CHECKING:
    import optuna

FEWEST = 8
"""Finished trials before it is said how much a setting matters."""
RESAMPLES = 50


@dataclass(frozen=True)
class Trial:
    """One job: what became of it, its values and settings, and what it measured on the way."""

    number: int
    state: str
    values: list[float]
    params: dict[str, Any]
    curve: dict[int, float]
    reason: str
    folder: str


@dataclass(frozen=True)
class Importance:
    """The share of a setting in what makes a trial good (PED-ANOVA, Watanabe et al., 2023), with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SweepReport:
    """All that is shown of a sweep; `best` are the numbers of the best trial, or of the front."""

    folder: str
    objectives: list[str]
    directions: list[str]
    trials: list[Trial]
    best: list[int]
    importance: dict[str, Importance]
    words: list[str]
    """The overrides of the best trial."""

    @classmethod
    def read(cls, folder: Path) -> SweepReport:
        """Raises RecipeError where the folder is not that of a sweep by Optuna, DataError where nothing was tried."""
        refuse_absent({"optuna": "luthier[sweep]"}, "luthier sweep-report", where=str(folder))
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if not (folder / studies.JOURNAL).is_file():
            hint = "Name the folder of a sweep by hydra/sweeper=optuna, such as sweeps/search."
            raise RecipeError(f"There is no sweep in {folder}.", where=str(folder), hint=hint)
        known = studies.storage(folder).get_all_studies()
        if not known:
            raise DataError("The sweep has not begun.", where=str(folder))
        study = optuna.load_study(study_name=studies.NAME, storage=studies.storage(folder))
        again = set(told.killed(study))
        shown = [_trial(one, folder) for one in study.get_trials(deepcopy=False) if one.number not in again]
        found = told.front(study) if len(study.directions) > 1 else list(filter(None, [told.best(study)]))
        return cls(
            str(folder), list(study.user_attrs.get(studies.OBJECTIVES, ["score"])),
            [direction.name.lower() for direction in study.directions], shown, [one.number for one in found],
            _importance(study), list(found[0].user_attrs.get(studies.WORDS, [])) if found else [],
        )  # fmt: skip

    def of_state(self, state: str) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == state]

    @property
    def counts(self) -> str:
        states = dict.fromkeys(trial.state for trial in self.trials)
        return ", ".join(f"{len(self.of_state(state))} {state}" for state in states)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _trial(one: Any, folder: Path) -> Trial:
    names = {"complete": "finished", "fail": "failed", "waiting": "waiting"}
    state = names.get(one.state.name.lower(), one.state.name.lower())
    run = folder / str(one.number)
    reason = str(one.user_attrs.get(told.FAILED, ""))
    if state == "pruned" and (pruned := read_json(run / PRUNED)):
        reason = f"pruned at step {pruned['step']}"
    values = [value for value in one.values or [] if math.isfinite(value)]
    return Trial(one.number, state, values, dict(one.params), dict(one.intermediate_values), reason, str(run))


def _importance(study: optuna.Study) -> dict[str, Importance]:
    """Of one objective and enough trials; nothing otherwise."""
    import optuna
    from optuna.trial import TrialState

    done = told.trials(study, TrialState.COMPLETE)
    searched = set.intersection(*(set(one.params) for one in done)) if done else set()
    if len(study.directions) > 1 or len(done) < FEWEST or not searched:
        return {}
    found: dict[str, list[float]] = {name: [] for name in searched}
    rng = np.random.default_rng(0)
    for number in range(RESAMPLES + 1):
        drawn = done if number == 0 else [done[place] for place in rng.integers(len(done), size=len(done))]
        other = optuna.create_study(direction=study.direction)
        other.add_trials(drawn)
        try:
            shares = optuna.importance.get_param_importances(
                other, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), params=sorted(searched)
            )
        except (ValueError, RuntimeError):  # a draw in which all trials are alike
            continue
        for name, share in shares.items():
            found[name].append(float(share))
    ends = {name: np.percentile(shares, [2.5, 97.5]) for name, shares in found.items() if shares}
    by_share = sorted(ends, key=lambda name: -found[name][0])
    return {name: Importance(found[name][0], float(ends[name][0]), float(ends[name][1])) for name in by_share}
