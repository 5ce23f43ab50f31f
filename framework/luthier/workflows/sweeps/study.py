"""The Optuna study of a sweep: its sampler, its pruner, and the journal in the sweep's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError
from luthier.errors.names import check_names
from luthier.fetch.extras import refuse_absent

if TYPE_CHECKING:
    import optuna

NAME = "optuna"
JOURNAL = "optuna.journal"
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "sobol": "QMCSampler",
    "grid": "RandomSampler",  # the points of the grid are enqueued
    "random": "RandomSampler",
}
PRUNERS = {"none": "NopPruner", "median": "MedianPruner", "hyperband": "HyperbandPruner"}
NEEDS = {
    "cmaes": {"cmaes": "luthier[sweep]"},
    "gp": {"scipy": "luthier[sweep]"},
    "sobol": {"scipy": "luthier[sweep]"},
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {"QMCSampler": {"qmc_type": "sobol", "scramble": True}}
WARM_UP = 4
"""Finished trials before the median is asked; Optuna's own five are a third of a sweep of 16."""
BY_CONSTRAINTS = {"tpe", "gp", "nsgaii", "nsgaiii"}
ONE_OBJECTIVE = {"cmaes"}
CONSTRAINED = "constraints"
SPACE = "space"
OBJECTIVES = "objectives"
WORDS = "words"
"""The overrides of a trial's job."""


def refuse_unusable(sampler: str, pruner: str, directions: Mapping[str, str], constraints: Mapping[str, float]) -> None:
    """RecipeError for names that there are not, and for what does not go together."""
    check_names([sampler], SAMPLERS, kind="sampler", where="hydra.sweeper.sampler")
    check_names([pruner], PRUNERS, kind="pruner", where="hydra.sweeper.pruner")
    who = f"hydra.sweeper.sampler={sampler}"
    refuse_absent(NEEDS.get(sampler, {}), who, where="hydra.sweeper.sampler", otherwise="choose tpe")
    for direction in directions.values():
        if direction not in ("minimize", "maximize"):
            raise RecipeError(f"The direction is {direction!r}.", hint="It is minimize or maximize.")
    if len(directions) > 1 and sampler in ONE_OBJECTIVE:
        raise RecipeError(f"{sampler} searches for one objective.", hint="Choose nsgaii, nsgaiii, tpe or gp.")
    if len(directions) > 1 and pruner != "none":
        message = f"pruner={pruner} looks at one objective, and there are {len(directions)}."
        raise RecipeError(message, where="hydra.sweeper.pruner", hint="Leave the pruner out.")
    if constraints and sampler not in BY_CONSTRAINTS:
        message = f"{sampler} knows no constraints."
        raise RecipeError(message, where="hydra.sweeper.constraints", hint="Choose nsgaii, nsgaiii, tpe or gp.")


def pruner_named(name: str) -> optuna.pruners.BasePruner:
    """As a sweep and its jobs make it."""
    import optuna

    settings = {"n_startup_trials": WARM_UP} if name == "median" else {}
    pruner: optuna.pruners.BasePruner = getattr(optuna.pruners, PRUNERS[name])(**settings)
    return pruner


def storage(folder: Path) -> optuna.storages.JournalStorage:
    """All trials of a sweep: each is on the disk as soon as it is told."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / JOURNAL)))


def study_in(
    folder: Path,
    *,
    sampler: str,
    pruner: str,
    directions: Mapping[str, str],
    constraints: Mapping[str, float],
    seed: int | None,
    space: Mapping[str, Any],
) -> optuna.Study:
    """The study of a sweep, as it was left or new; RecipeError where another sweep was started in the folder."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = storage(folder)
    known = {found.study_name: found for found in journal.get_all_studies()}.get(NAME)
    hint = "Keep it, or choose another name or hydra.sweep.dir."
    if known is not None:
        before = [direction.name.lower() for direction in known.directions]
        if before != list(directions.values()):
            raise RecipeError(f"The sweep in {folder} was started with direction={','.join(before)}.", hint=hint)
        searched = known.user_attrs.get(SPACE, space)
        if json.loads(json.dumps(space)) != searched:
            other = sorted(key for key in {*space, *searched} if space.get(key) != searched.get(key))
            raise RecipeError(f"The sweep in {folder} was started with another space: {', '.join(other)}.", hint=hint)
        if seed is not None:  # a sampler that starts again would repeat its first draws
            seed += len(journal.get_all_trials(known._study_id))
    settings: dict[str, Any] = dict(SETTINGS.get(SAMPLERS[sampler], {}))
    if constraints:
        settings["constraints_func"] = _of_trial
    study = optuna.create_study(
        storage=journal,
        study_name=NAME,
        directions=[_direction(one) for one in directions.values()],
        sampler=_quietly(lambda: getattr(optuna.samplers, SAMPLERS[sampler])(seed=seed, **settings)),
        pruner=pruner_named(pruner),
        load_if_exists=True,
    )
    study.set_user_attr(OBJECTIVES, list(directions))
    study.set_user_attr(SPACE, json.loads(json.dumps(space)))
    return study


def _direction(name: str) -> optuna.study.StudyDirection:
    from optuna.study import StudyDirection

    return StudyDirection[name.upper()]


def _of_trial(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    """By how much each constraint is violated; a trial that measured nothing violates one."""
    return list(trial.user_attrs.get(CONSTRAINED, [1.0]))


def _quietly(make: Callable[[], Any]) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental in Optuna
        return make()
