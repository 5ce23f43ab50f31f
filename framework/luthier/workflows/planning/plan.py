"""The plan of a recipe: its parts are built, a sample of the data is read, weights are counted without loading them."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from luthier.config import checks
from luthier.data.overlong import refuse_length
from luthier.errors import DataError, LuthierError, ResourceError
from luthier.fetch import cache
from luthier.fetch.once import NotYetError
from luthier.inference.proof import ArchitectureProof, prove_architecture
from luthier.models.encoder_heads import with_trained_head
from luthier.models.meta_networks import meta_network
from luthier.models.trainable_parameters import ParameterCounts, counts_of
from luthier.training.strategies import ShardingStrategy
from luthier.workflows.parts import Parts, attempt
from luthier.workflows.planning import estimate, machine
from luthier.workflows.planning.data_sample import DataSample, sample_data
from luthier.workflows.planning.estimate import StepEstimate, Work
from luthier.workflows.planning.held_out import HeldOutPlan, plan_held_out
from luthier.workflows.precision import LOW, settle

if TYPE_CHECKING:
    from luthier.config.compose import Composition
    from luthier.workflows.planning.probe import Probe, Prober


@dataclass(slots=True)
class RecipePlan:
    """Estimates for one recipe, sizes in bytes. `problems` prevent the run; `unknown`: what is not here yet.

    `experts` is what there is to say of a mixture of experts, and of what an adapter leaves out. Without a small twin
    of its configuration (`has_twin`) an architecture is tried by the run alone. `probe` is what two real steps took,
    where they were asked for.
    """

    composition: Composition
    data: DataSample | None = None
    weights: ParameterCounts | None = None
    experts: dict[str, str] = field(default_factory=dict)
    steps: StepEstimate | None = None
    held_out: HeldOutPlan | None = None
    memory: dict[str, int] = field(default_factory=dict)
    free_memory: int = 0
    disk: dict[str, int] = field(default_factory=dict)
    free_disk: int = 0
    seconds: float = 0.0
    probe: Probe | None = None
    proof: ArchitectureProof | None = None
    has_twin: bool = True
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


def plan_recipe(composition: Composition, prober: Prober | None = None) -> RecipePlan:
    """Plan a recipe offline and read-only; an error that a part raises is a problem of the plan.

    `prober` trains for two steps to measure what is estimated else.
    """
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    with cache.read_only_cache(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = RecipePlan(settle(composition))
        parts, plan.problems = attempt(plan.composition.config, composition.trust)
        if parts is not None:
            _check_score(plan, parts)
            _look_at_data(plan, parts)
            _count_weights(plan, parts)
            _prove(plan, parts)
            _estimate(plan, parts, prober)
    return plan


def _check_score(plan: RecipePlan, parts: Parts) -> None:
    try:
        parts.evaluation.refuse_unmeasured(str(parts.config.score), parts.method)
    except LuthierError as error:
        plan.add(error)


def _look_at_data(plan: RecipePlan, parts: Parts) -> None:
    batch, sample = parts.config.batch, None
    try:
        tokenizer = _tokenizer(plan, parts)
        if tokenizer is not None:
            refuse_length(int(batch.length), tokenizer)
        sample = plan.data = sample_data(
            parts.source, parts.prompt, parts.method.encode, tokenizer, int(batch.length), parts.method.learn
        )
    except ResourceError as error:
        plan.unknown.append(f"the data: {error}")
    except LuthierError as error:
        plan.add(error)
    if sample and sample.overlong and batch.overlong == "error":
        message = f"{len(sample.overlong)} of {sample.encoded} sampled examples are longer than {batch.length} tokens."
        hint = f"Set batch.length={sample.longest}, or batch.overlong=truncate, drop or split."
        plan.add(DataError(message, where=sample.overlong[0], hint=hint))
    if sample and plan.trains:
        try:
            parts.trainer.refuse_without_validation(_held_out_examples(sample))
        except DataError as error:
            plan.add(error)


def _held_out_examples(sample: DataSample) -> int | None:
    """Examples of the validation split; None where only a part of the data was read."""
    return sample.splits.get("validation", 0) if sample.complete else None


def _tokenizer(plan: RecipePlan, parts: Parts) -> Any:
    """The model's tokenizer; None where it is not on this machine yet."""
    try:
        return parts.model.tokenizer
    except ResourceError as error:
        plan.unknown.append(f"the model: {error}")
        return None


def _count_weights(plan: RecipePlan, parts: Parts) -> None:
    try:
        adapted = with_trained_head(parts.adaptation(meta_network(parts.method.model)))
        counted = counts_of(adapted, parts.model)
        plan.weights = counted if plan.trains else replace(counted, trained=0)
        plan.experts = parts.method.describe(adapted) if plan.trains else {}
        if plan.trains and isinstance(parts.trainer.strategy, ShardingStrategy):
            parts.trainer.strategy.refuse(
                parts.method, adapted, packing=bool(parts.config.batch.packing), ranks=machine.ranks(parts.trainer),
                device=parts.trainer.device,
            )  # fmt: skip
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
        plan.has_twin = plan.proof is not None
        if plan.proof is not None and plan.data is not None:
            plan.proof.layout.for_texts_of(_longest_text(plan))
    except LuthierError as error:
        plan.add(error)


def _longest_text(plan: RecipePlan) -> int:
    """The tokens of the longest text that the run computes, as far as was sampled; what is scored is never cut."""
    config, longest = plan.composition.config, plan.data.longest if plan.data is not None else 0
    return longest if set(config.stages) - {"fit"} else min(longest, int(config.batch.length))


def _estimate(plan: RecipePlan, parts: Parts, prober: Prober | None) -> None:
    if plan.problems:
        return
    trainer, method = parts.trainer, parts.method
    try:
        work, device = _work(plan.composition.config, parts), trainer.device
    except NotYetError:  # reported with its tokenizer already
        return
    except LuthierError as error:  # such as a GPU that is not here
        plan.add(error)
        return
    if plan.data is not None and plan.trains:
        plan.steps = estimate.steps(work, plan.data.lengths)
        plan.held_out = plan_held_out(
            trainer, str(plan.composition.config.score), steps=plan.steps.count,
            steps_per_epoch=estimate.steps_of_epoch(work, plan.data.lengths),
            examples=_held_out_examples(plan.data),
        )  # fmt: skip
    plan.free_memory, plan.free_disk = machine.free_memory(device), machine.free_disk(_folder(plan.composition))
    if plan.weights is None:
        return
    plan.memory, plan.disk = estimate.memory(plan.weights, work), estimate.disk(plan.weights, _checkpoints(plan, parts))
    if (devices := machine.sharing(trainer)) > 1:
        gathered = trainer.strategy.gathered if isinstance(trainer.strategy, ShardingStrategy) else 0
        plan.memory = estimate.of_a_shard(plan.memory, plan.weights, work, devices, gathered=gathered)
    plan.memory |= method.memory(len(plan.data.lengths)) if plan.data is not None else {}
    if plan.steps is not None:
        stored = LOW.get(str(checks.at(plan.composition.config, "model.dtype")), torch.float32)
        speed = machine.flops(device, trainer.autocast or stored, width=plan.weights.width)
        plan.seconds = estimate.seconds(plan.weights, plan.steps.tokens, flops=speed)
    if prober is not None and plan.trains:
        _probe(plan, prober)
    smaller = "Try batch.micro=1, model.gradient_checkpointing=true or adaptation=lora."
    _compare(plan, "memory", sum(plan.memory.values()), plan.free_memory, smaller)
    elsewhere = "Free some, or set hydra.run.dir to a folder of another disk."
    _compare(plan, "disk", sum(plan.disk.values()), plan.free_disk, elsewhere)


def _probe(plan: RecipePlan, prober: Prober) -> None:
    """Measure memory and time where they were estimated."""
    longest = plan.data.longest if plan.data is not None else 0
    try:
        plan.probe = prober(plan.composition, longest=longest or int(plan.composition.config.batch.length))
    except LuthierError as error:
        plan.add(error)
        return
    plan.memory = {"two steps": plan.probe.memory}
    if plan.steps is not None:
        plan.seconds = plan.steps.count * plan.probe.seconds


def _checkpoints(plan: RecipePlan, parts: Parts) -> int:
    """The most checkpoints that are on the disk at a time."""
    trainer, held_out = parts.trainer, plan.held_out
    if plan.steps is None or held_out is None:
        return trainer.keep + 1 + trainer.keep_best
    saves = trainer.keep_best or trainer.validation_times.by_clock
    times = plan.steps.count if held_out.count is None else held_out.count
    return estimate.checkpoints_at_once(
        plan.steps.count, every=trainer.checkpoint_every, keep=trainer.keep, extra=times if saves else 0,
        best=trainer.keep_best,
    )  # fmt: skip


def _compare(plan: RecipePlan, what: str, needed: int, free: int, hint: str) -> None:
    if needed > free:
        message = f"The run needs about {needed / 1e9:.1f} GB of {what}, and {free / 1e9:.1f} GB are free."
        plan.add(ResourceError(message, where=what, hint=hint))


def _folder(composition: Composition) -> Path:
    return Path("runs", str(composition.config.name)).absolute()


def _work(config: Any, parts: Parts) -> Work:
    autocast, preparation = parts.trainer.autocast, parts.method.preparation
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
        visits=preparation.visits if preparation else 1,
    )
