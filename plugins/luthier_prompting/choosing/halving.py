"""Try all on a few questions, and the better half on more."""

from __future__ import annotations

import random

from luthier.api import RecipeError
from luthier_prompting.choosing import Choosing, Ground, Trial


class Halving(Choosing):
    """Successive halving (Jamieson & Talwalkar, 2016): each round asks the better half twice as many questions.

    Each round may spend an equal share of the budget. If that is less than `least` questions for each combination, as
    many as there is room for are drawn by `seed`.
    """

    def __init__(self, *, least: int = 8, seed: int = 0) -> None:
        if least < 1:
            raise RecipeError("prompt.choosing.least is less than one question.", where="prompt.choosing.least")
        self.least, self.seed = least, seed

    def __call__(self, ground: Ground) -> list[Trial]:
        left = [(one, other) for one in range(ground.shape[0]) for other in range(ground.shape[1])]
        most, budget = ground.judge.size, ground.budget
        least = min(self.least, most)
        while len(left) > 1 and budget // _rounds(len(left)) < least * len(left):
            drawn = random.Random(self.seed).sample(left[1:], len(left) - 1)
            left = [left[0], *sorted(drawn[: len(left) - 2])]
        share, trials = budget // _rounds(len(left)), list[Trial]()
        while True:
            count = max(1, min(most, share // len(left)))
            made = [ground.score(one, other, count) for one, other in left]
            trials += made
            if len(left) == 1 or count == most:
                return trials
            made.sort(key=lambda trial: -trial.value)
            left = [(trial.instruction, trial.examples) for trial in made[: (len(made) + 1) // 2]]


def _rounds(count: int) -> int:
    """How many rounds halve so many to one."""
    return max(1, (count - 1).bit_length() + 1)
