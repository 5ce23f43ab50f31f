"""The contenders of a comparison: one for each combination of the comma-separated values of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from luthier.config import command_line
from luthier.errors import LuthierError, RecipeError
from luthier.workflows.cached_runs.cached_run import CachedRun

if TYPE_CHECKING:
    from luthier.config.catalog import Catalog
    from luthier.config.compose import Composer, Composition

MOST = 64
FOLD = "data.splits.fold"
"""The setting that says which examples are held out."""


@dataclass
class Contender:
    """A name, its overrides, and a run for each seed."""

    name: str
    words: list[str]
    runs: list[CachedRun] = field(default_factory=list)

    @property
    def composition(self) -> Composition:
        return self.runs[0].composition

    def compose(self, composer: Composer, seeds: int | None, splits: int | None = None) -> None:
        """Compose a run for each of the seeds 0, 1, … of each of the splits, or for the recipe's own seed and split.

        Runs of one split follow each other; errors name the contender.
        """
        try:
            given: list[list[str]] = [[]] if seeds is None else [[f"seed={seed}"] for seed in range(seeds)]
            folds: list[list[str]] = [[]] if splits is None else [[f"{FOLD}={fold}"] for fold in range(splits)]
            self.runs = [
                CachedRun.compose(composer, [*self.words, *fold, *seed]) for fold, seed in product(folds, given)
            ]
        except LuthierError as error:
            error.message = f"{self.name}: {error.message}"
            raise


def contenders(overrides: Sequence[str], catalog: Catalog) -> list[Contender]:
    """The contenders, named by the values that distinguish them; RecipeError where there is nothing to compare."""
    words = command_line.read(overrides, catalog)
    command_line.refuse_unknown_answers(words, catalog)
    swept = [word for word in words if word.sweeps]
    if not swept:
        hint = "Put commas between what is to be compared: luthier compare recipe=zero_shot,lora_sft."
        raise RecipeError("There is nothing to compare.", hint=hint)
    if not 2 <= (count := command_line.jobs_of(words)) <= MOST:
        problem = "One contender is no comparison" if count < 2 else f"{count:,} contenders are too many"
        raise RecipeError(f"{problem}; 2 to {MOST} can be compared.", where=swept[0].text)
    compared = [_contender(words, swept, values, catalog) for values in product(*(word.values for word in swept))]
    if len({contender.name for contender in compared}) < len(compared):
        raise RecipeError("A value is named twice.", where=swept[0].text)
    return compared


def compose_all(
    compared: Sequence[Contender], composer: Composer, seeds: int | None, splits: int | None = None
) -> None:
    """Compose every contender; the first error, with what is wrong with the others too."""
    errors: list[LuthierError] = []
    for contender in compared:
        try:
            contender.compose(composer, seeds, splits)
        except LuthierError as error:
            errors.append(error)
    if errors:
        first = errors[0]
        first.message = " ".join(dict.fromkeys(error.message for error in errors))
        raise first


def _contender(
    words: Sequence[command_line.Word], swept: Sequence[command_line.Word], values: Sequence[str], catalog: Catalog
) -> Contender:
    chosen = {word.text: value for word, value in zip(swept, values, strict=True)}
    overrides = [word.with_value(chosen[word.text]) if word.text in chosen else word.text for word in words]
    names = [
        chosen[word.text] if word.key in catalog.questions() else f"{word.path}={chosen[word.text]}" for word in swept
    ]
    return Contender(" ".join(names), overrides)
