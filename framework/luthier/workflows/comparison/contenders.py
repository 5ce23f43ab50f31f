"""Who is compared: a command line with commas, one contender for each combination of the values between them."""

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


@dataclass
class Contender:
    """A name, the words of its command line, and a run for each seed."""

    name: str
    words: list[str]
    runs: list[CachedRun] = field(default_factory=list)

    @property
    def composition(self) -> Composition:
        return self.runs[0].composition

    def compose(self, composer: Composer, seeds: int | None) -> None:
        """With the seeds 0, 1, … in turn; with the recipe's own where none are asked for. Errors say whose they are."""
        try:
            given: list[list[str]] = [[]] if seeds is None else [[f"seed={seed}"] for seed in range(seeds)]
            self.runs = [CachedRun.compose(composer, [*self.words, *seed]) for seed in given]
        except LuthierError as error:
            error.message = f"{self.name}: {error.message}"
            raise


def contenders(said: Sequence[str], catalog: Catalog) -> list[Contender]:
    """Each is called by the values that it has to itself; RecipeError where there is nothing to compare."""
    words = command_line.read(said, catalog)
    command_line.refuse_unknown_answers(words, catalog)
    swept = [word for word in words if word.sweeps]
    if not swept:
        hint = "Put commas between what is to be compared: luthier compare recipe=zero_shot,lora_sft."
        raise RecipeError("There is nothing to compare.", hint=hint)
    found = [_contender(words, swept, values, catalog) for values in product(*(word.values for word in swept))]
    if len({contender.name for contender in found}) < len(found):
        raise RecipeError("A value is named twice.", where=swept[0].text)
    if not 2 <= len(found) <= MOST:
        said_of = "One contender is no comparison" if len(found) < 2 else f"{len(found)} contenders are too many"
        raise RecipeError(f"{said_of}; 2 to {MOST} can be compared.", where=swept[0].text)
    return found


def _contender(
    words: Sequence[command_line.Word], swept: Sequence[command_line.Word], values: Sequence[str], catalog: Catalog
) -> Contender:
    chosen = {word.text: value for word, value in zip(swept, values, strict=True)}
    said = [word.with_value(chosen[word.text]) if word.text in chosen else word.text for word in words]
    names = [
        chosen[word.text] if word.key in catalog.questions() else f"{word.path}={chosen[word.text]}" for word in swept
    ]
    return Contender(" ".join(names), said)
