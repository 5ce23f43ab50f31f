"""What becomes of the trials of a sweep: told to the study, tried again after a kill, and written down."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.utils import JobReturn, JobStatus

from luthier.disk.redaction import redact_text
from luthier.disk.writing import put_away, write_text
from luthier.errors import LuthierError
from luthier.workflows.sweeps.jobs import PRUNED
from luthier.workflows.sweeps.objectives import values_of
from luthier.workflows.sweeps.study import CONSTRAINED, NAME

if TYPE_CHECKING:
    import optuna

RESULTS = "optimization_results.yaml"
KILLED = "killed"
GOES_ON = "goes_on"
"""The number of the trial whose folder a trial takes over."""
FAILED = "failed"

log = logging.getLogger(__name__)


def trials(study: optuna.Study, *states: Any) -> list[Any]:
    return study.get_trials(deepcopy=False, states=states)


def killed(study: optuna.Study) -> list[int]:
    """Numbers of the trials that a kill of the sweep ended: their second try counts, they do not."""
    return list(study.user_attrs.get(KILLED, []))


def counted(study: optuna.Study) -> int:
    """The trials that are over, but for those that are tried again."""
    from optuna.trial import TrialState

    return len(trials(study, TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)) - len(killed(study))


def enqueue_interrupted(study: optuna.Study) -> int:
    """Have what was running when the sweep was killed tried again, in the folder that it had."""
    from optuna.trial import TrialState

    running = trials(study, TrialState.RUNNING)
    study.set_user_attr(KILLED, [*killed(study), *(trial.number for trial in running)])
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={GOES_ON: trial.number})
    return len(running)


def take_over(trial: optuna.Trial, folder: Path) -> None:
    """Give a trial the folder of the one that it goes on with, so that it begins at its last checkpoint."""
    number = trial.user_attrs.get(GOES_ON)
    if number is None:
        return
    before, now = folder / str(number), folder / str(trial.number)
    if before.is_dir() and not now.exists():
        os.rename(before, now)


def tell(
    study: optuna.Study, trial: optuna.Trial, job: JobReturn, objectives: Mapping[str, str], limits: Mapping[str, float]
) -> None:
    """The values of a job that is over, or that it was pruned or failed, and why."""
    from optuna.trial import TrialState

    run = Path(job.hydra_cfg.hydra.runtime.output_dir) if job.hydra_cfg is not None else None
    if run is not None and (run / PRUNED).exists():
        log.info("Trial %d (%s) was pruned: %s", trial.number, trial.params, _reason(job))
        if (checkpoints := run / "checkpoints").exists():
            put_away(checkpoints)
        study.tell(trial, state=TrialState.PRUNED)
        return
    try:
        values = _values(job, run, objectives)
        if limits and run is not None:
            found = values_of(run, limits)
            trial.set_user_attr(CONSTRAINED, [value - most for value, most in zip(found, limits.values(), strict=True)])
    except LuthierError as error:
        log.warning("Trial %d (%s) failed: %s", trial.number, trial.params, error)
        trial.set_user_attr(FAILED, redact_text(str(error)))
        study.tell(trial, state=TrialState.FAIL)
        return
    study.tell(trial, values)


def _values(job: JobReturn, run: Path | None, objectives: Mapping[str, str]) -> list[float]:
    if job.status != JobStatus.COMPLETED:
        raise LuthierError(_reason(job))
    if objectives and run is not None:
        return values_of(run, objectives)
    score = job.return_value
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise LuthierError(f"its score is {score!r}")
    return [float(score)]


def _reason(job: JobReturn) -> str:
    try:
        value = job.return_value
    except Exception as error:
        value = error
    return value.message if isinstance(value, LuthierError) else f"{type(value).__name__}: {value}"


def feasible(study: optuna.Study) -> list[Any]:
    """The finished trials that violate no constraint."""
    from optuna.trial import TrialState

    return [
        one for one in trials(study, TrialState.COMPLETE) if all(v <= 0 for v in one.user_attrs.get(CONSTRAINED, []))
    ]


def front(study: optuna.Study) -> list[Any]:
    """The finished trials that no other one beats in an objective without being worse in another."""
    there = feasible(study)
    signs = [1 if direction.name == "MINIMIZE" else -1 for direction in study.directions]
    losses = {one.number: [sign * value for sign, value in zip(signs, one.values, strict=True)] for one in there}

    def beats(one: list[float], other: list[float]) -> bool:
        return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))

    return [one for one in there if not any(beats(other, losses[one.number]) for other in losses.values())]


def best(study: optuna.Study) -> Any:
    """The best feasible trial of a study with one objective, the earlier of two equals; None without one."""
    minimize = study.direction.name == "MINIMIZE"
    return min(feasible(study), key=lambda one: one.value if minimize else -one.value, default=None)


def write_results(folder: Path, study: optuna.Study) -> dict[str, Any]:
    """The best trial, or the front, and the counts, in the form that Hydra's own Optuna sweeper writes."""
    from optuna.trial import TrialState

    results: dict[str, Any] = {
        "name": NAME,
        "complete": len(trials(study, TrialState.COMPLETE)),
        "failed": len(trials(study, TrialState.FAIL)) - len(killed(study)),
    }
    if pruned := len(trials(study, TrialState.PRUNED)):
        results["pruned"] = pruned
    if len(study.directions) > 1:
        results["front"] = [
            {"job": one.number, "values": list(one.values), "params": dict(one.params)} for one in front(study)
        ]
    elif (found := best(study)) is not None:
        results.update(best_params=dict(found.params), best_value=found.value, best_job=found.number)
    write_text(folder / RESULTS, yaml.safe_dump(results, sort_keys=False))
    return results
