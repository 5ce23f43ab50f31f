"""A Hydra sweeper on Optuna's ask and tell: `luthier -m hydra/sweeper=optuna 'optimizer.lr=interval(1e-5,1e-3)'`."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from luthier.disk.leftovers import sweep
from luthier.disk.redaction import redact_text
from luthier.disk.writing import write_text
from luthier.errors import LuthierError, RecipeError, ResourceError
from luthier.fetch.extras import refuse_absent
from luthier.workflows.sweeps import listed_sweeper
from luthier.workflows.sweeps.search_space import SearchSpace

if TYPE_CHECKING:
    import optuna

NAME = "optuna"
TARGET = "hydra_plugins.luthier.OptunaSweeper"  # Hydra takes plugins by names of this form alone
SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", "cmaes": "CmaEsSampler"}
NEEDS = {"cmaes": {"cmaes": "luthier[sweep]"}}
JOURNAL = "optuna.journal"
RESULTS = "optimization_results.yaml"

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Searches `n_trials` sets of settings for the best score; a job that fails is a failed trial and no more.

    direction: minimize or maximize the score that the recipe names. sampler: tpe, random or cmaes. n_jobs: jobs that
    the launcher is given at once. params: a search space from the recipe, `{optimizer.lr: interval(1e-5, 1e-3)}`,
    which the command line overrides. All trials go into `optuna.journal` in the sweep's folder at once: the same
    command with the same `hydra.sweep.dir` goes on with a killed sweep, and tries again what was under way.
    """

    def __init__(
        self,
        *,
        direction: Literal["minimize", "maximize"] = "minimize",
        n_trials: int = 20,
        n_jobs: int = 1,
        sampler: str = "tpe",
        seed: int | None = 0,
        params: dict[str, str] | None = None,
    ) -> None:
        self.direction, self.n_trials, self.n_jobs, self.seed = direction, n_trials, n_jobs, seed
        self.sampler = sampler
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> dict[str, Any]:
        """Carry out the trials that the study still lacks; gives and writes what was found."""
        self._refuse_absent_packages()
        from optuna.trial import TrialState

        assert self.config is not None
        assert self.launcher is not None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, locked=False)
        write_text(folder / "multirun.yaml", OmegaConf.to_yaml(self.config))
        space, study = self._space(arguments), self._study(folder)
        retried = _enqueue_interrupted(study)
        if retried:
            log.info("%d trials were under way when the sweep was killed; they are tried again.", retried)
        done = (TrialState.COMPLETE, TrialState.FAIL)
        while (left := self.n_trials - len(_trials(study, done)) + len(_killed(study))) > 0:
            trials = [study.ask(space.searched) for _ in range(min(left, self.n_jobs))]
            batch = [space.overrides(trial) for trial in trials]
            self.validate_batch_is_legal(batch)
            jobs = self.launcher.launch(batch, initial_job_idx=trials[0].number)
            for trial, job in zip(trials, jobs, strict=True):
                self._tell(study, trial, job)
            _write_results(folder, study)
        results = _write_results(folder, study)
        if not results["complete"]:
            raise ResourceError(f"All {results['failed']} jobs of the sweep failed.", where=str(folder))
        return results

    def _refuse_absent_packages(self) -> None:
        refuse_absent({"optuna": "luthier[sweep]"}, f"hydra/sweeper={NAME}", where="hydra/sweeper")
        who = f"hydra.sweeper.sampler={self.sampler}"
        refuse_absent(NEEDS.get(self.sampler, {}), who, where="hydra.sweeper.sampler", otherwise="choose tpe")

    def _space(self, arguments: Sequence[str]) -> SearchSpace:
        given = {line.partition("=")[0] for line in arguments}
        lines = [f"{key}={value}" for key, value in self.params.items() if key not in given]
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space = SearchSpace.of(parser.parse_overrides([*lines, *arguments]))
        if not space.searched:
            raise RecipeError(
                "The sweep searches nothing.", hint="Add, for example, 'optimizer.lr=interval(1e-5,1e-3)'."
            )
        return space

    def _study(self, folder: Path) -> optuna.Study:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.sampler not in SAMPLERS:
            raise RecipeError(f"There is no sampler {self.sampler!r}.", hint=f"There are {', '.join(SAMPLERS)}.")
        if self.direction not in ("minimize", "maximize"):
            raise RecipeError(f"The direction is {self.direction!r}.", hint="It is minimize or maximize.")
        journal = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
        known = {found.study_name: found.directions[0].name.lower() for found in journal.get_all_studies()}
        if known.get(NAME, self.direction) != self.direction:
            raise RecipeError(
                f"The sweep in {folder} was started with direction={known[NAME]}.",
                hint="Keep it, or choose another hydra.sweep.dir.",
            )
        sampler = getattr(optuna.samplers, SAMPLERS[self.sampler])(seed=self._seed(known, journal))
        return optuna.create_study(
            storage=journal, study_name=NAME, direction=self.direction, sampler=sampler, load_if_exists=True
        )

    def _seed(self, known: dict[str, str], journal: Any) -> int | None:
        """The seed, moved on by the trials that are there: a sampler that starts again would repeat its first draws."""
        if self.seed is None or NAME not in known:
            return self.seed
        return self.seed + len(journal.get_all_trials(journal.get_study_id_from_name(NAME)))

    def _tell(self, study: optuna.Study, trial: optuna.Trial, job: JobReturn) -> None:
        from optuna.trial import TrialState

        reason = ""
        if job.status != JobStatus.COMPLETED:
            reason = _reason(job)
        elif not isinstance(score := job.return_value, int | float) or not math.isfinite(score):
            reason = f"its score is {score!r}"
        if reason:
            log.warning("Trial %d (%s) failed: %s", trial.number, trial.params, reason)
            trial.set_user_attr("failed", redact_text(reason))
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, float(job.return_value))


def register() -> None:
    """Make `hydra/sweeper=optuna` known to Hydra; may be called again."""
    listed_sweeper.register()
    plugins = Plugins.instance()
    plugins.register(OptunaSweeper)
    plugins.class_name_to_class[TARGET] = OptunaSweeper
    settings = {"direction": "minimize", "n_trials": 20, "n_jobs": 1, "sampler": "tpe", "seed": 0, "params": None}
    node = {"_target_": TARGET, **settings}
    ConfigStore.instance().store(group="hydra/sweeper", name=NAME, node=node, provider="luthier")


def _trials(study: optuna.Study, states: tuple[Any, ...]) -> list[Any]:
    return study.get_trials(deepcopy=False, states=states)


def _killed(study: optuna.Study) -> list[int]:
    """Numbers of the trials that a kill of the sweep ended: their second try counts, they do not."""
    return list(study.user_attrs.get("killed", []))


def _enqueue_interrupted(study: optuna.Study) -> int:
    """Have what was running when the sweep was killed tried again first."""
    from optuna.trial import TrialState

    running = _trials(study, (TrialState.RUNNING,))
    study.set_user_attr("killed", [*_killed(study), *(trial.number for trial in running)])
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return len(running)


def _reason(job: JobReturn) -> str:
    try:
        value = job.return_value
    except Exception as error:
        value = error
    return value.message if isinstance(value, LuthierError) else f"{type(value).__name__}: {value}"


def _write_results(folder: Path, study: optuna.Study) -> dict[str, Any]:
    """The best trial and the counts, in the form that Hydra's own Optuna sweeper writes."""
    from optuna.trial import TrialState

    complete = _trials(study, (TrialState.COMPLETE,))
    failed = len(_trials(study, (TrialState.FAIL,))) - len(_killed(study))
    results: dict[str, Any] = {"name": NAME, "complete": len(complete), "failed": failed}
    if complete:
        best = study.best_trial
        results.update(best_params=dict(best.params), best_value=best.value, best_job=best.number)
    write_text(folder / RESULTS, yaml.safe_dump(results, sort_keys=False))
    return results
