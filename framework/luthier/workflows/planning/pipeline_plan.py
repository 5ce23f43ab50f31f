"""The plan of a pipeline: which steps are cached, which are resumed, and a plan of each step that will run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.checks import targets_in
from luthier.errors import LuthierError
from luthier.workflows.cached_runs.cached_run import CachedRun
from luthier.workflows.pipelines.running import compose_ahead, naming_step, placeholder_folder
from luthier.workflows.planning.plan import RecipePlan, plan_recipe

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.workflows.pipelines.definition import Pipeline, Step

EARLIER_RUN = "luthier.workflows.earlier_run.EarlierRun"


@dataclass(frozen=True)
class StepPlan:
    """One step. A cached step has no plan; a step that depends on one that has not run has no folder yet."""

    step: str
    run: CachedRun
    state: str  # kept (cached), goes on (resumed) or new
    after: list[str]
    plan: RecipePlan | None = None

    @property
    def recipe(self) -> str:
        return self.run.composition.recipe

    @property
    def overrides(self) -> list[str]:
        return list(self.run.overrides)

    @property
    def says(self) -> str:
        if self.after:
            return f"begins after {', '.join(self.after)}"
        where = self.run.folder.path
        return {"kept": f"{where} is there already", "goes on": f"{where} goes on"}.get(self.state, f"begins {where}")

    def facts(self, facts_of: Callable[[RecipePlan], Iterable[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
        """The facts of its plan as `facts_of` gives them, then what is unknown and the notes."""
        if self.plan is not None:
            yield from (pair for pair in facts_of(self.plan) if pair[1])
            yield from (("unknown", line) for line in self.plan.unknown)
            yield from (("note", line) for line in (*self.plan.composition.dropped, *self.plan.composition.notes))

    def as_json(self) -> dict[str, Any]:
        run = "" if self.after else str(self.run.folder.path)
        return {"step": self.step, "recipe": self.recipe, "state": self.state, "after": self.after, "run": run}


@dataclass
class PipelinePlan:
    """The plans of the steps in order."""

    name: str
    steps: list[StepPlan] = field(default_factory=list)

    @property
    def problems(self) -> list[LuthierError]:
        return [problem for one in self.steps if one.plan for problem in one.plan.problems]

    @property
    def code(self) -> int:
        return self.problems[0].code if self.problems else 0

    @property
    def seconds(self) -> float:
        return sum(one.plan.seconds for one in self.steps if one.plan)


def plan_pipeline(pipeline: Pipeline, composer: Composer) -> PipelinePlan:
    """Plan every step offline and read-only; a step that depends on one that has not run is planned with its model."""
    pipeline_plan = PipelinePlan(pipeline.name)
    folders: dict[str, str] = {}
    models: dict[str, Any] = {}
    for step in pipeline.steps:
        missing = [name for name in step.needs if name not in folders]
        with naming_step(step.name):
            run = _composed(step, folders, composer) if not missing else compose_ahead(step, composer)
            composition = _with_models(run.composition, models)
            models[placeholder_folder(step.name)] = composition.config.model
            state = "new" if missing else "kept" if run.is_finished else "goes on" if run.is_resumable else "new"
            if state == "kept":
                folders[step.name] = str(run.folder.path)
            step_plan = None if state == "kept" else plan_recipe(composition)
        for problem in step_plan.problems if step_plan else ():
            problem.message = f"Step {step.name}: {problem.message}"
        pipeline_plan.steps.append(StepPlan(step.name, run, state, missing, step_plan))
    return pipeline_plan


def _composed(step: Step, folders: dict[str, str], composer: Composer) -> CachedRun:
    return CachedRun.compose(composer, step.after(folders))


def _with_models(composition: Composition, models: dict[str, Any]) -> Composition:
    """The recipe with the model of an earlier step in place of the artifact that the step will write."""
    plain: Any = OmegaConf.to_container(composition.config)
    for _, node in list(targets_in(plain)):
        if node["_target_"] == EARLIER_RUN and node.get("path") in models:
            there: Any = OmegaConf.to_container(models[node["path"]])
            node.clear()
            node.update(there)
    config = DictConfig(plain)
    OmegaConf.set_readonly(config, True)
    return replace(composition, config=config)
