"""What a sweep may try: Hydra's sweep syntax as distributions of Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial


@dataclass
class SearchSpace:
    """The overrides that every job has, and the distributions of those that are searched.

    `interval(a, b)` is continuous, both ends included; `int(interval(a, b))` whole numbers; `range(a, b, step)` leaves
    b out, as everywhere in Hydra; `choice(…)` and `a,b` are categories; `tag(log, …)` searches orders of magnitude.
    """

    fixed: list[str] = field(default_factory=list)
    searched: dict[str, BaseDistribution] = field(default_factory=dict)

    @classmethod
    def of(cls, overrides: list[Override]) -> SearchSpace:
        space = cls()
        for override in overrides:
            key = override.get_key_element()
            if override.is_sweep_override():
                space.searched[key] = distribution(override)
            else:
                space.fixed.append(override.input_line or f"{key}={override.get_value_element_as_str()}")
        return space

    def overrides(self, trial: Trial) -> list[str]:
        """The overrides of one job, with what the study proposes for this trial."""
        return [*self.fixed, *(f"{key}={value}" for key, value in trial.params.items())]


def distribution(override: Override) -> BaseDistribution:
    """Where one setting is searched; RecipeError where the syntax makes no sense."""
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep: Any = override.value()
    key = override.get_key_element()
    foreign = sorted(getattr(sweep, "tags", set()) - {"log"})
    if foreign:
        raise RecipeError(f"The tag {foreign[0]!r} means nothing here.", where=key, hint="There is tag(log, …).")
    log = "log" in getattr(sweep, "tags", set())
    try:
        if isinstance(sweep, IntervalSweep):
            low: Any = sweep.start
            high: Any = sweep.end
            if isinstance(low, int) and isinstance(high, int):
                return IntDistribution(low, high, log=log)
            return FloatDistribution(float(low or 0), float(high or 0), log=log)
        if isinstance(sweep, RangeSweep) and not sweep.shuffle:
            values = sorted(sweep.range())
            step = abs(sweep.step)
            if all(isinstance(value, int) for value in values):
                return IntDistribution(values[0], values[-1], step=1 if log else int(step), log=log)
            return FloatDistribution(float(values[0]), float(values[-1]), step=None if log else float(step), log=log)
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except (ValueError, IndexError) as error:
        raise RecipeError(f"{override.input_line} cannot be searched: {error}.", where=key) from error
