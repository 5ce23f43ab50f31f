"""What a sweep may try: Hydra's sweep syntax as distributions of Optuna."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from luthier.errors import RecipeError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial


@dataclass(frozen=True)
class Branch:
    """Settings that are searched only where another one has a value."""

    key: str
    value: str
    searched: dict[str, BaseDistribution]


@dataclass
class SearchSpace:
    """The overrides that every job has, and the distributions of those that are searched.

    `interval(a, b)` is continuous, both ends included; `int(interval(a, b))` whole numbers; `range(a, b, step)` leaves
    b out, as everywhere in Hydra; `choice(…)` and `a,b` are categories; `tag(log, …)` searches orders of magnitude.
    """

    fixed: list[str] = field(default_factory=list)
    searched: dict[str, BaseDistribution] = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)

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

    def add_branch(self, key: str, value: str, overrides: list[Override]) -> None:
        """Search these where the setting `key` is `value`; RecipeError where it never is.

        A setting that the command line gives is left out.
        """
        where = f"hydra.sweeper.conditional.{key}.{value}"
        values = self._values(key)
        if value not in values:
            there = f"{key} is one of {', '.join(values)}" if values else f"{key} is neither searched nor set"
            raise RecipeError(
                f"{key}={value} never holds: {there}.", where=where, hint=nearest(value, values, "There are")
            )
        searched = {}
        for override in overrides:
            name = override.get_key_element()
            if not override.is_sweep_override():
                raise RecipeError(f"{name} has one value only.", where=where, hint="Say choice(4,8) or interval(0,1).")
            if name not in self._fixed and name not in self.searched:
                searched[name] = distribution(override)
        self.branches.append(Branch(key, value, searched))

    @property
    def _fixed(self) -> dict[str, str]:
        return {key: value for key, _, value in (line.partition("=") for line in self.fixed)}

    def _values(self, key: str) -> list[str]:
        """What a setting can be in this space, as text."""
        if key in self._fixed:
            return [self._fixed[key]]
        spaces = [self.searched, *(branch.searched for branch in self.branches)]
        return [str(value) for space in spaces if key in space for value in grid_of(key, space[key])]

    def ask(self, study: Study) -> Trial:
        """A new trial, with a value of each setting whose condition holds."""
        trial = study.ask(self.searched)
        for branch in self.branches:
            if self._holds(branch, trial.params):
                for key, one in branch.searched.items():
                    trial._suggest(key, one)
        return trial

    def _holds(self, branch: Branch, params: Mapping[str, Any]) -> bool:
        return str(params.get(branch.key, self._fixed.get(branch.key))) == branch.value

    def points(self) -> Iterator[dict[str, Any]]:
        """Every combination; RecipeError for a setting that has no listed values."""
        yield from self._points({}, [Branch("", "", self.searched), *self.branches])

    def _points(self, params: dict[str, Any], branches: Sequence[Branch]) -> Iterator[dict[str, Any]]:
        if not branches:
            yield params
            return
        first, *others = branches
        if first.key and not self._holds(first, params):
            yield from self._points(params, others)
            return
        for values in product(*(grid_of(key, one) for key, one in first.searched.items())):
            yield from self._points({**params, **dict(zip(first.searched, values, strict=True))}, others)

    def as_json(self) -> dict[str, Any]:
        """What is searched, by setting and condition, so that another sweep can be told from this one."""
        from optuna.distributions import distribution_to_json

        spaces = {"": self.searched, **{f"{one.key}={one.value}: ": one.searched for one in self.branches}}
        return {
            f"{when}{key}": distribution_to_json(one) for when, space in spaces.items() for key, one in space.items()
        }

    def overrides(self, trial: Trial) -> list[str]:
        """The overrides of one job, with what the study proposes for this trial."""
        return [*self.fixed, *(f"{key}={value}" for key, value in trial.params.items())]


def grid_of(key: str, one: BaseDistribution) -> list[Any]:
    """The values of a setting in a grid; RecipeError for a continuous one."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(one, CategoricalDistribution):
        return list(one.choices)
    if isinstance(one, IntDistribution) and not one.log:
        return list(range(one.low, one.high + 1, one.step))
    if isinstance(one, FloatDistribution) and one.step:
        return [one.low + number * one.step for number in range(round((one.high - one.low) / one.step) + 1)]
    raise RecipeError(f"{key} has no listed values.", where=key, hint="List them, choice(1e-4,1e-3), or use range(…).")


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
