"""Put together what a recipe comes to: its parts are built, the data looked at, the weights counted, none read."""

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
from luthier.models.trainable_parameters import ParameterCounts, count_parameters
from luthier.workflows.parts import Parts, attempt
from luthier.workflows.planning import estimate, machine
from luthier.workflows.planning.data_sample import DataSample, look
from luthier.workflows.planning.estimate import Steps, Work

if TYPE_CHECKING:
    from luthier.config.compose import Composition


@dataclass(slots=True)
class Plan:
    """What was found out. `problems` stand in the way; `unknown` says what could not be looked at yet, and why."""

    composition: Composition
    data: DataSample | None = None
    weights: ParameterCounts | None = None
    steps: Steps | None = None
    memory: dict[str, int] = field(default_factory=dict)
    free_memory: int = 0
    disk: dict[str, int] = field(default_factory=dict)
    free_disk: int = 0
    seconds: float = 0.0
    problems: list[LuthierError] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def code(self) -> int:
        return self.problems[0].code if self.problems else 0

    @property
    def trains(self) -> bool:
        return "fit" in self.composition.config.stages


def plan(composition: Composition) -> Plan:
    """Offline and read-only; what a part itself refuses is a problem of the plan."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
    found = Plan(composition)
    with cache.read_only_cache(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts, found.problems = attempt(composition.config, composition.trust)
        if parts is not None:
            _look_at_data(found, parts)
            _count_weights(found, parts)
            _estimate(found, parts)
    return found


def _look_at_data(found: Plan, parts: Parts) -> None:
    batch, head = parts.config.batch, None
    try:
        tokenizer = _tokenizer(found, parts)
        head = found.data = look(parts.source, parts.prompt, parts.method.encode, tokenizer, int(batch.length))
    except ResourceError as error:
        found.unknown.append(f"the data: {error}")
    except LuthierError as error:
        found.problems.append(error)
    if head and head.overlong and batch.overlong == "error":
        message = f"{len(head.overlong)} of {head.encoded} examples looked at are longer than {batch.length} tokens."
        hint = f"Set batch.length={head.longest}, or batch.overlong=truncate, drop or split."
        found.problems.append(DataError(message, where=head.overlong[0], hint=hint))


def _tokenizer(found: Plan, parts: Parts) -> Any:
    """The model's tokenizer; None where it is not on this machine yet."""
    try:
        return parts.model.tokenizer
    except ResourceError as error:
        found.unknown.append(f"the model: {error}")
        return None


def _count_weights(found: Plan, parts: Parts) -> None:
    try:
        counted = count_parameters(parts.model, parts.adaptation)
        found.weights = counted if found.trains else replace(counted, trained=0)
    except ResourceError:
        pass  # said of its tokenizer already
    except LuthierError as error:
        found.problems.append(error)


def _estimate(found: Plan, parts: Parts) -> None:
    if found.problems:
        return
    trainer, method = parts.trainer, parts.method
    try:
        work, device = _work(found.composition.config, trainer.autocast), trainer.device
    except LuthierError as error:  # such as a GPU that is not here
        found.problems.append(error)
        return
    if found.data is not None and found.trains:
        found.steps = estimate.steps(work, found.data.lengths)
    found.free_memory, found.free_disk = machine.free_memory(device), machine.free_disk(_folder(found.composition))
    if found.weights is None:
        return
    found.memory, found.disk = estimate.memory(found.weights, work), estimate.disk(found.weights, work)
    found.memory |= method.memory(len(found.data.lengths)) if found.data is not None else {}
    if found.steps is not None:
        speed = machine.flops(device, trainer.autocast or torch.float32, width=found.weights.width)
        found.seconds = estimate.seconds(found.weights, found.steps.tokens, flops=speed)
    smaller = "Try batch.micro=1, model.gradient_checkpointing=true or adaptation=lora."
    _compare(found, "memory", sum(found.memory.values()), found.free_memory, smaller)
    elsewhere = "Free some, or set hydra.run.dir to a folder of another disk."
    _compare(found, "disk", sum(found.disk.values()), found.free_disk, elsewhere)


def _compare(found: Plan, what: str, needed: int, free: int, hint: str) -> None:
    if needed > free:
        message = f"The run needs about {needed / 1e9:.1f} GB of {what}, and {free / 1e9:.1f} GB are free."
        found.problems.append(ResourceError(message, where=what, hint=hint))


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
