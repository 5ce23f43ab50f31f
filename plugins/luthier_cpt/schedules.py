"""An infinite learning-rate schedule, for training of unknown length."""

from __future__ import annotations

import math

from luthier.api import RecipeError, Schedule


class Infinite(Schedule):
    """Warm up, cool down to a constant rate that can be kept for any time, and anneal at the end.

    Ibrahim et al., 2024, section 7.4. `cooldown` and `anneal` are fractions of the steps after the warm-up; between
    them the rate stays at `constant`. It cools down along half a cosine and anneals exponentially to `final`. Both
    rates are fractions of the peak. Continue from a checkpoint before the anneal, at the constant rate: no re-warming.
    """

    def __init__(
        self,
        *,
        warmup: float = 0.01,
        cooldown: float = 0.6,
        constant: float = 0.55,
        anneal: float = 0.15,
        final: float = 0.1,
    ) -> None:
        super().__init__(warmup=warmup)
        if not 0 < final <= constant <= 1:
            raise RecipeError(
                f"An infinite schedule falls from 1 to constant={constant} and on to final={final}, which must be "
                "above 0.",
                where="optimizer.schedule",
                hint="An exponential never reaches 0; choose final=0.01, for instance.",
            )
        if min(cooldown, anneal) < 0 or cooldown + anneal > 1:
            raise RecipeError(
                f"cooldown={cooldown} and anneal={anneal} are more than all steps together.", where="optimizer.schedule"
            )
        self.cooldown, self.constant, self.anneal, self.final = cooldown, constant, anneal, final

    def after_warmup(self, progress: float) -> float:
        if progress < self.cooldown:
            cosine = (1 + math.cos(math.pi * progress / self.cooldown)) / 2
            return self.constant + (1 - self.constant) * cosine
        remaining = 1 - progress
        if remaining >= self.anneal:
            return self.constant
        return self.constant * math.pow(self.final / self.constant, 1 - remaining / self.anneal)
