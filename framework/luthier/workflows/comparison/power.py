"""Which difference a comparison can see, said before it starts."""

from __future__ import annotations

from math import sqrt

from luthier.evaluation.random_effects import student_t

DISAGREE = 0.3
"""The share of examples on which two contenders are assumed to differ."""
LUCK = 0.01
"""The standard deviation over seeds that is assumed of a score from 0 to 1."""
POWER = 0.8
"""How often a difference of the size that is said is seen."""
MANY = 1e4
"""Degrees of freedom that are as good as a normal distribution."""


def detectable(examples: int, seeds: int, *, confidence: float, deviation: float, luck: float) -> float:
    """The least true difference whose interval excludes 0 with a probability of `POWER`.

    `deviation` is that of the paired differences over examples, `luck` that of each contender's score over seeds
    (Cohen, Statistical Power Analysis, 1988, section 2.4, with the variances of `luthier.evaluation.random_effects`).
    """
    over_examples, over_seeds = deviation**2 / examples, 2 * luck**2 / seeds if seeds > 1 else 0.0
    freedom = MANY
    if over_seeds:
        both = (over_examples + over_seeds) ** 2
        freedom = both / (over_examples**2 / max(1, examples - 1) + 2 * (over_seeds / 2) ** 2 / (seeds - 1))
    elif examples > 1:
        freedom = examples - 1
    seen = student_t(confidence, max(1.0, freedom)) + student_t(2 * POWER - 1, MANY)
    return seen * sqrt(over_examples + over_seeds)


def of_splits(splits: int, examples: int, held_out: float, *, confidence: float, deviation: float) -> float:
    """The same of several splits of so many held-out examples each, which differ by the choice of examples alone."""
    spread = deviation * sqrt((1 / splits + held_out) / examples)
    return (student_t(confidence, splits - 1) + student_t(2 * POWER - 1, MANY)) * spread


def sentence(examples: int, seeds: int, splits: int, held_out: float, *, bounded: bool, confidence: float) -> str:
    """What can be seen with so many examples of each split and seeds, and what is assumed for it."""
    deviation = sqrt(DISAGREE) if bounded else 1.0
    if splits > 1:
        found = of_splits(splits, examples, held_out, confidence=confidence, deviation=deviation)
    else:
        luck = LUCK if bounded else LUCK / sqrt(DISAGREE)
        found = detectable(examples, seeds, confidence=confidence, deviation=deviation, luck=luck)
    how = (
        f"where two contenders differ on {DISAGREE:.0%} of the examples" if bounded
        else "in standard deviations of what two contenders differ by on an example"
    )  # fmt: skip
    if splits == 1 and seeds > 1 and bounded:
        how += f" and a score varies by {LUCK:g} from seed to seed"
    text = f"power: {how}, a difference of {found:.2g} is seen {POWER:.0%} of the time"
    return text if seeds > 1 or splits > 1 else f"{text}; one seed does not show the luck of training"
