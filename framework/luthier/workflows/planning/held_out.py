"""What held-out data will decide in a training: when it is looked at, what ends the training, what is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from luthier.records.validations import HELD_OUT_LOSS, words
from luthier.reporting.figures import title

if TYPE_CHECKING:
    from luthier.training.trainer import Trainer


@dataclass(frozen=True)
class HeldOutPlan:
    """Sentences for a person; `count` is how often it validates, None where a clock decides."""

    validation: str
    count: int | None
    end: str
    artifact: str

    @property
    def validates(self) -> bool:
        return self.count != 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan_held_out(
    trainer: Trainer, score: str, *, steps: int, steps_per_epoch: int, examples: int | None
) -> HeldOutPlan:
    """Of a training of so many steps with so many held-out examples; None where their number is not known."""
    count = trainer.validation_times.count(steps, steps_per_epoch) if examples != 0 else 0
    monitor = score if trainer.monitors_score else HELD_OUT_LOSS
    artifact = f"the checkpoint with the best {words(monitor)}" if trainer.keep_best else "the last checkpoint"
    return HeldOutPlan(_when(trainer, monitor, count, examples), count, _end(trainer, monitor, steps, count), artifact)


def _when(trainer: Trainer, monitor: str, count: int | None, examples: int | None) -> str:
    if examples == 0:
        return "none: the data has no validation split"
    times = f": {count} {'time' if count == 1 else 'times'}" if count is not None else ""
    many = f"{examples:,} examples" if examples is not None else "the validation split"
    scored = "" if monitor == HELD_OUT_LOSS else f"; measures {title(monitor)} each time"
    return f"{trainer.validation_times} and after the last step{times}, on {many}{scored}"


def _end(trainer: Trainer, monitor: str, steps: int, count: int | None) -> str:
    clauses = [f"after {steps:,} steps", *(f"where {term}" for term in trainer.stop.terms(monitor))]
    fewest = trainer.stop.fewest_validations
    too_few = count is not None and count < fewest
    return ", or ".join(clauses) + (f" (it takes {fewest} validations, and there are {count})" if too_few else "")
