"""What a pipeline comes to: which steps are there, which go on, and a plan of each that is to be carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from luthier.config.checks import targets_in
from luthier.errors import LuthierError
from luthier.workflows.cached_runs.cached_run import CachedRun
from luthier.workflows.pipelines.running import compose_ahead, of_step, stand_in
from luthier.workflows.planning.plan import Plan
from luthier.workflows.planning.plan import plan as plan_recipe

if TYPE_CHECKING:
    from luthier.config.compose import Composer, Composition
    from luthier.workflows.pipelines.definition import Pipeline, Step

EARLIER_RUN = "luthier.workflows.earlier_run.EarlierRun"


@dataclass(frozen=True)
class StepPlan:
    """A step that is there already has no plan; one that starts from a step that is not there has no folder yet."""

    step: str
    run: CachedRun
    state: str  # kept, goes on, new
    after: list[str]
    plan: Plan | None = None

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

    def facts(self, of: Callable[[Plan], Iterable[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
        """What `of` says of its plan, and what could not be looked at."""
        if self.plan is not None:
            yield from (pair for pair in of(self.plan) if pair[1])
            yield from (("unknown", line) for line in self.plan.unknown)
            yield from (("note", line) for line in self.plan.composition.dropped)

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


def plan(pipeline: Pipeline, composer: Composer) -> PipelinePlan:
    """Offline and read-only. A step that starts from one that is not there yet is planned with that one's model."""
    found = PipelinePlan(pipeline.name)
    folders: dict[str, str] = {}
    models: dict[str, Any] = {}
    for step in pipeline.steps:
        missing = [name for name in step.needs if name not in folders]
        with of_step(step.name):
            run = _composed(step, folders, composer) if not missing else compose_ahead(step, composer)
            composition = _with_models(run.composition, models)
            models[stand_in(step.name)] = composition.config.model
            state = "new" if missing else "kept" if run.finished else "goes on" if run.begun else "new"
            if state == "kept":
                folders[step.name] = str(run.folder.path)
            made = None if state == "kept" else plan_recipe(composition)
        for problem in made.problems if made else ():
            problem.message = f"Step {step.name}: {problem.message}"
        found.steps.append(StepPlan(step.name, run, state, missing, made))
    return found


def _composed(step: Step, folders: dict[str, str], composer: Composer) -> CachedRun:
    return CachedRun.compose(composer, step.after(folders))


def _with_models(composition: Composition, models: dict[str, Any]) -> Composition:
    """The recipe with the model of an earlier step in each place that waits for what the step will leave."""
    plain: Any = OmegaConf.to_container(composition.config)
    for _, node in list(targets_in(plain)):
        if node["_target_"] == EARLIER_RUN and node.get("path") in models:
            there: Any = OmegaConf.to_container(models[node["path"]])
            node.clear()
            node.update(there)
    config = DictConfig(plain)
    OmegaConf.set_readonly(config, True)
    return replace(composition, config=config)
