"""The plan of a recipe: its parts are built, a sample of the data is read, weights are counted without loading them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luthier.config import checks
from luthier.errors import DataError, LuthierError, ResourceError
from luthier.fetch import cache
from luthier.inference.proof import ArchitectureProof, prove_architecture
from luthier.models.trainable_parameters import ParameterCounts, count_parameters
from luthier.workflows.parts import Parts, attempt
from luthier.workflows.planning import estimate, machine
from luthier.workflows.planning.data_sample import DataSample, sample_data
from luthier.workflows.planning.estimate import StepEstimate, Work

if TYPE_CHECKING:
    from luthier.config.compose import Composition


@dataclass(slots=True)
class RecipePlan:
    """Estimates for one recipe, sizes in bytes. `problems` prevent the run; `unknown`: what is not here yet."""

    composition: Composition
    data: DataSample | None = None
    weights: ParameterCounts | None = None
    steps: StepEstimate | None = None
    memory: dict[str, int] = field(default_factory=dict)
    free_memory: int = 0
    disk: dict[str, int] = field(default_factory=dict)
    free_disk: int = 0
    seconds: float = 0.0
    proof: ArchitectureProof | None = None
    problems: list[LuthierError] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return self.problems[0].code if self.problems else 0

    def add(self, problem: LuthierError) -> None:
        """Note what prevents the run, once: two parts may ask for the same thing that is not there."""
        if str(problem) not in map(str, self.problems):
            self.problems.append(problem)

    @property
    def trains(self) -> bool:
        return "fit" in self.composition.config.stages


def plan_recipe(composition: Composition) -> RecipePlan:
    """Plan a recipe offline and read-only; an error that a part raises is a problem of the plan."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    plan = RecipePlan(composition)
    with cache.read_only_cache(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts, plan.problems = attempt(composition.config, composition.trust)
        if parts is not None:
            _look_at_data(plan, parts)
            _count_weights(plan, parts)
            _prove(plan, parts)
            _estimate(plan, parts)
    return plan


def _look_at_data(plan: RecipePlan, parts: Parts) -> None:
    batch, sample = parts.config.batch, None
    try:
        tokenizer = _tokenizer(plan, parts)
        sample = plan.data = sample_data(parts.source, parts.prompt, parts.method.encode, tokenizer, int(batch.length))
    except ResourceError as error:
        plan.unknown.append(f"the data: {error}")
    except LuthierError as error:
        plan.add(error)
    if sample and sample.overlong and batch.overlong == "error":
        message = f"{len(sample.overlong)} of {sample.encoded} sampled examples are longer than {batch.length} tokens."
        hint = f"Set batch.length={sample.longest}, or batch.overlong=truncate, drop or split."
        plan.add(DataError(message, where=sample.overlong[0], hint=hint))


def _tokenizer(plan: RecipePlan, parts: Parts) -> Any:
    """The model's tokenizer; None where it is not on this machine yet."""
    try:
        return parts.model.tokenizer
    except ResourceError as error:
        plan.unknown.append(f"the model: {error}")
        return None


def _count_weights(plan: RecipePlan, parts: Parts) -> None:
    try:
        counted = count_parameters(parts.model, parts.adaptation)
        plan.weights = counted if plan.trains else replace(counted, trained=0)
    except ResourceError:
        pass  # reported with its tokenizer already
    except LuthierError as error:
        plan.add(error)


def _prove(plan: RecipePlan, parts: Parts) -> None:
    """Try the architecture with its adaptation on a tiny twin: what the run proves before it reads any data."""
    loading = getattr(parts.model, "loading", None)
    if not parts.method.is_generative or loading is None or plan.unknown:
        return
    try:
        plan.proof = prove_architecture(parts.model.config, loading.attn_implementation, parts.adaptation)
    except LuthierError as error:
        plan.add(error)


def _estimate(plan: RecipePlan, parts: Parts) -> None:
    if plan.problems:
        return
    trainer, method = parts.trainer, parts.method
    try:
        work, device = _work(plan.composition.config, trainer.autocast), trainer.device
    except LuthierError as error:  # such as a GPU that is not here
        plan.add(error)
        return
    if plan.data is not None and plan.trains:
        plan.steps = estimate.steps(work, plan.data.lengths)
    plan.free_memory, plan.free_disk = machine.free_memory(device), machine.free_disk(_folder(plan.composition))
    if plan.weights is None:
        return
    plan.memory, plan.disk = estimate.memory(plan.weights, work), estimate.disk(plan.weights, work)
    plan.memory |= method.memory(len(plan.data.lengths)) if plan.data is not None else {}
    if plan.steps is not None:
        speed = machine.flops(device, trainer.autocast or torch.float32, width=plan.weights.width)
        plan.seconds = estimate.seconds(plan.weights, plan.steps.tokens, flops=speed)
    smaller = "Try batch.micro=1, model.gradient_checkpointing=true or adaptation=lora."
    _compare(plan, "memory", sum(plan.memory.values()), plan.free_memory, smaller)
    elsewhere = "Free some, or set hydra.run.dir to a folder of another disk."
    _compare(plan, "disk", sum(plan.disk.values()), plan.free_disk, elsewhere)


def _compare(plan: RecipePlan, what: str, needed: int, free: int, hint: str) -> None:
    if needed > free:
        message = f"The run needs about {needed / 1e9:.1f} GB of {what}, and {free / 1e9:.1f} GB are free."
        plan.add(ResourceError(message, where=what, hint=hint))


def _folder(composition: Composition) -> Path:
    return Path("runs", str(composition.config.name)).absolute()


def _work(config: Any, autocast: Any) -> Work:
    stored = estimate.DTYPE_BYTES.get(str(checks.at(config, "model.dtype") or "float32"), 4)
    return Work(
        micro=int(config.batch.micro),
        length=int(config.batch.length),
        size=int(config.batch.size),
        packing=bool(config.batch.packing),
        epochs=int(config.trainer.epochs),
        max_steps=config.trainer.max_steps,
        computes_in=2 if autocast is not None else stored,
        stored_in=stored,
        checkpointing=bool(checks.at(config, "model.gradient_checkpointing")),
        keep=int(config.trainer.keep),
    )
