"""How the learning rate changes over a run: a factor of the peak for each optimizer step.

All of them warm up first: over `warmup`, a fraction of all steps, the factor rises linearly to 1 and is never 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any

import torch

from luthier.plugins.returned import misreturned


class Schedule(ABC):
    """The factor of the peak learning rate at each step; `warmup` is the fraction of all steps in which it rises.

    - *Given*: the number of an optimizer step (0, 1, …) and of all steps of the run.
    - *Returns*: a factor of the peak learning rate, from 0 to 1; `after_warmup` alone must be written.
    - *Called*: before each optimizer step.
    - *Ranks*: on every rank alike.
    - *Raises*: RecipeError of the constructor for settings that cannot be.
    - *Resume*: it is asked for the steps that are left, with the number of all steps as it is now: keep no state.
    - *Nested*: a keyword-only parameter filled by an answer of `optimizer/schedule/NAME/`.
    """

    def __init__(self, *, warmup: float = 0.03) -> None:
        self.warmup = warmup

    def __call__(self, step: int, total: int) -> float:
        """The factor for optimizer step `step` (0, 1, …) of `total`."""
        rising = round(self.warmup * total)
        if step < rising:
            return (step + 1) / (rising + 1)
        return self.after_warmup(min(1.0, (step - rising) / max(1, total - rising)))

    @abstractmethod
    def after_warmup(self, progress: float) -> float:
        """The factor at `progress`, from 0 at the end of the warm-up to 1 when all steps are done."""


class Constant(Schedule):
    """Stay at the peak."""

    def after_warmup(self, progress: float) -> float:
        return 1.0


class Cosine(Schedule):
    """Fall along half a cosine to `final`, a fraction of the peak (Loshchilov & Hutter, 2017, without restarts)."""

    def __init__(self, *, warmup: float = 0.03, final: float = 0.0) -> None:
        super().__init__(warmup=warmup)
        self.final = final

    def after_warmup(self, progress: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


class Linear(Schedule):
    """Fall along a line to `final`, a fraction of the peak."""

    def __init__(self, *, warmup: float = 0.03, final: float = 0.0) -> None:
        super().__init__(warmup=warmup)
        self.final = final

    def after_warmup(self, progress: float) -> float:
        return 1 - (1 - self.final) * progress


class WarmupStableDecay(Schedule):
    """Stay at the peak, then fall along a line to `final` over the last part of the steps (Hu et al., 2024, MiniCPM).

    `decay` is that part, as a fraction of the steps after the warm-up.
    """

    def __init__(self, *, warmup: float = 0.03, decay: float = 0.2, final: float = 0.0) -> None:
        super().__init__(warmup=warmup)
        self.decay, self.final = decay, final

    def after_warmup(self, progress: float) -> float:
        left = 1 - progress
        return 1.0 if left >= self.decay else self.final + (1 - self.final) * left / self.decay


def scheduled(optimizer: torch.optim.Optimizer, schedule: Schedule, total_steps: int) -> dict[str, Any]:
    """What Lightning's `configure_optimizers` returns: the optimizer, and its schedule moved once each step."""

    def factor(step: int) -> float:
        found: Any = schedule(step, total_steps)
        if not isinstance(found, (Real, torch.Tensor)) or not 0 <= float(found) < math.inf:
            raise misreturned(schedule, "a factor of the peak learning rate, from 0 to 1", found)
        return float(found)

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
