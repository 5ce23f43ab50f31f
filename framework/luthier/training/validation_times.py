"""After which optimizer steps a training validates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from luthier.errors import RecipeError


@dataclass(frozen=True, slots=True)
class ValidationTimes:
    """Every `steps` optimizer steps, every `epochs` epochs or every `seconds` of training; else after each epoch.

    A share of an epoch ends with the optimizer step in which that much of the epoch is over. The last step of the
    training always validates, too. RecipeError for two of them, and for one that is not more than 0.
    """

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        values = {"": self.steps, "_epochs": self.epochs, "_seconds": self.seconds}
        given = {f"trainer.validate_every{name}": value for name, value in values.items() if value is not None}
        if len(given) > 1:
            raise RecipeError(
                f"{' and '.join(given)} say at different times when to validate.",
                where=next(iter(given)),
                hint="Set one of them, and the others to null.",
            )
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise RecipeError(f"{name} is {value}.", where=name, hint="Use more than 0, or null.")

    @property
    def by_clock(self) -> bool:
        """Whether a clock decides, which no two trainings have the same of."""
        return self.seconds is not None

    def after(self, step: int, steps_per_epoch: int) -> bool:
        """Whether step `step`, counted from 1, is one that validates; of a clock, nothing is known before."""
        if self.by_clock:
            return False
        if self.steps is not None:
            return step % self.steps == 0
        between = self.share * steps_per_epoch
        return step // between > (step - 1) // between

    def count(self, steps: int, steps_per_epoch: int) -> int | None:
        """How many validations so many steps have, the last step's included; None where a clock decides."""
        if self.by_clock:
            return None
        between = Fraction(self.steps) if self.steps is not None else max(self.share * steps_per_epoch, Fraction(1))
        return int(steps // between) + (not self.after(steps, steps_per_epoch))

    @property
    def share(self) -> Fraction:
        """The share of an epoch, exactly as it was written in decimals."""
        return Fraction(str(1 if self.epochs is None else self.epochs))

    def __str__(self) -> str:
        if self.steps is not None:
            return "after every step" if self.steps == 1 else f"every {self.steps:,} steps"
        if self.seconds is not None:
            return f"every {self.seconds:g} s of training"
        return "after each epoch" if self.share == 1 else f"every {float(self.share):g} epochs"
