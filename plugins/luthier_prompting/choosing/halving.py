"""Successive halving."""

from __future__ import annotations

import random

from luthier_prompting.choosing import CandidateSpace, PromptOptimizer, Trial, check_at_least


class SuccessiveHalving(PromptOptimizer):
    """Successive halving (Jamieson & Talwalkar, 2016): each round scores the better half on twice as many questions.

    Each round has an equal share of the budget. If that is less than `least` questions for each candidate, the empty
    prompt and a random subset of the others are tried, as many as the budget allows; `seed` draws them.
    """

    def __init__(self, *, least: int = 8, seed: int = 0) -> None:
        check_at_least(least=(least, 1))
        self.least, self.seed = least, seed

    def __call__(self, space: CandidateSpace) -> list[Trial]:
        candidates = space.combinations
        most, budget = space.scorer.size, space.budget
        least = min(self.least, most)
        while len(candidates) > 1 and budget // _rounds(len(candidates)) < least * len(candidates):
            shuffled = random.Random(self.seed).sample(candidates[1:], len(candidates) - 1)
            candidates = [candidates[0], *sorted(shuffled[: len(candidates) - 2])]
        share, trials = budget // _rounds(len(candidates)), list[Trial]()
        while True:
            count = max(1, min(most, share // len(candidates)))
            scored = [space.score(instruction, examples, count) for instruction, examples in candidates]
            trials += scored
            if len(candidates) == 1 or count == most:
                return trials
            scored.sort(key=lambda trial: -trial.value)
            candidates = [(trial.instruction, trial.examples) for trial in scored[: (len(scored) + 1) // 2]]


def _rounds(count: int) -> int:
    """The number of rounds that halve `count` candidates to one."""
    return max(1, (count - 1).bit_length() + 1)
