"""A Hydra sweeper on Optuna's ask and tell: `luthier -m hydra/sweeper=optuna 'optimizer.lr=interval(1e-5,1e-3)'`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from luthier.disk.leftovers import sweep
from luthier.disk.redaction import redact_text
from luthier.disk.writing import write_text
from luthier.errors import RecipeError, ResourceError
from luthier.fetch.extras import refuse_absent
from luthier.records.lock import RunLock
from luthier.workflows.sweeps import listed_sweeper
from luthier.workflows.sweeps.search_space import SearchSpace
from luthier.workflows.sweeps.study import NAME, WORDS, refuse_unusable, study_in
from luthier.workflows.sweeps.trials import counted, enqueue_interrupted, take_over, tell, write_results

TARGET = "hydra_plugins.luthier.OptunaSweeper"  # Hydra takes plugins by names of this form alone
LOCK = "lock"
LIST_ALL = "grid"

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Searches `n_trials` sets of settings for the best score; a job that fails is a failed trial and no more.

    direction: minimize or maximize the score that the recipe names. objectives: several instead, by name,
    `{accuracy: maximize, seconds: minimize}`, of which the front is found. constraints: the greatest value of some,
    `{forgetting: 0.1}`. sampler: tpe, gp, cmaes, nsgaii, nsgaiii, sobol, grid or random. pruner: none, median or
    hyperband, which end a training by its validations. n_jobs: jobs that the launcher is given at once. timeout:
    seconds after which a job is ended. params: a search space from the recipe, `{optimizer.lr: interval(1e-5, 1e-3)}`,
    which the command line overrides; conditional: what is searched only where another setting has a value,
    `{adaptation: {lora: {adaptation.rank: choice(4,8)}}}`. All trials go into `optuna.journal` in the sweep's folder at
    once: the same command with the same `hydra.sweep.dir` goes on with a killed sweep, and resumes what was under way.
    """

    def __init__(
        self,
        *,
        direction: Literal["minimize", "maximize"] = "minimize",
        objectives: dict[str, str] | None = None,
        constraints: dict[str, float] | None = None,
        n_trials: int = 20,
        n_jobs: int = 1,
        sampler: str = "tpe",
        pruner: str = "none",
        timeout: float | None = None,
        seed: int | None = 0,
        params: dict[str, str] | None = None,
        conditional: dict[str, dict[str, dict[str, str]]] | None = None,
    ) -> None:
        self.n_trials, self.n_jobs, self.seed = n_trials, n_jobs, seed
        self.objectives, self.constraints = dict(objectives or {}), dict(constraints or {})
        self.directions = self.objectives or {"score": direction}
        self.sampler, self.pruner, self.timeout = sampler, pruner, timeout
        self.params = dict(params or {})
        self.conditional = dict(conditional or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Carry out the trials that the study still lacks; gives and writes what was found."""
        refuse_absent({"optuna": "luthier[sweep]"}, f"hydra/sweeper={NAME}", where="hydra/sweeper")
        refuse_unusable(self.sampler, self.pruner, self.directions, self.constraints)
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        with RunLock(folder / LOCK):
            sweep(folder, locked=False)
            write_text(folder / "multirun.yaml", OmegaConf.to_yaml(self.config))
            return self._search(folder, self._space(arguments))

    def _search(self, folder: Path, space: SearchSpace) -> dict[str, Any]:
        assert self.launcher is not None
        study = study_in(
            folder, sampler=self.sampler, pruner=self.pruner, directions=self.directions,
            constraints=self.constraints, seed=self.seed, space=space.as_json(),
        )  # fmt: skip
        most = self.n_trials
        if resumed := enqueue_interrupted(study):
            log.info("%d trials were under way when the sweep was killed; they go on.", resumed)
        if self.sampler == LIST_ALL:
            points = list(space.points())
            most = min(most, len(points))
            for point in points:
                study.enqueue_trial(point, skip_if_exists=True)
        while (left := most - counted(study)) > 0:
            trials = [space.ask(study) for _ in range(min(left, self.n_jobs))]
            for trial in trials:
                take_over(trial, folder)
            batch = [space.overrides(trial) for trial in trials]
            for trial, words in zip(trials, batch, strict=True):
                trial.set_user_attr(WORDS, [redact_text(word) for word in words])
            self.validate_batch_is_legal(batch)
            jobs = self.launcher.launch(batch, initial_job_idx=trials[0].number)
            for trial, job in zip(trials, jobs, strict=True):
                tell(study, trial, job, self.objectives, self.constraints)
            write_results(folder, study)
        results = write_results(folder, study)
        if not results["complete"]:
            raise ResourceError(f"All {results['failed']} jobs of the sweep failed.", where=str(folder))
        return results

    def _space(self, arguments: Sequence[str]) -> SearchSpace:
        given = {line.partition("=")[0] for line in arguments}
        lines = [f"{key}={value}" for key, value in self.params.items() if key not in given]
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space = SearchSpace.of(parser.parse_overrides([*lines, *arguments]))
        for key, by_value in self.conditional.items():
            for value, branch in by_value.items():
                words = parser.parse_overrides([f"{name}={one}" for name, one in branch.items()])
                space.add_branch(key, str(value), words)
        if not space.searched:
            raise RecipeError(
                "The sweep searches nothing.", hint="Add, for example, 'optimizer.lr=interval(1e-5,1e-3)'."
            )
        return space


def register() -> None:
    """Make `hydra/sweeper=optuna` known to Hydra; may be called again."""
    listed_sweeper.register()
    plugins = Plugins.instance()
    plugins.register(OptunaSweeper)
    plugins.class_name_to_class[TARGET] = OptunaSweeper
    settings = {
        "direction": "minimize", "objectives": None, "constraints": None, "n_trials": 20, "n_jobs": 1,
        "sampler": "tpe", "pruner": "none", "timeout": None, "seed": 0, "params": None, "conditional": None,
    }  # fmt: skip
    node = {"_target_": TARGET, **settings}
    ConfigStore.instance().store(group="hydra/sweeper", name=NAME, node=node, provider="luthier")
