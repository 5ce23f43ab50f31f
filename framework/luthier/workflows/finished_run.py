"""A finished run, loaded to be evaluated again on its own examples or on those of another run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.withheld import given_back
from luthier.contracts.examples import Example
from luthier.contracts.trust import Trust
from luthier.data.examples import text_key
from luthier.data.module import Data
from luthier.errors import DataError
from luthier.workflows import artifact
from luthier.workflows.parts import assemble, part
from luthier.workflows.precision import slow

if TYPE_CHECKING:
    from luthier.evaluation.evaluation import Evaluation
    from luthier.plugins.registry import Plugins

SPARE = ("optimizer", "trainer.strategy", "tracking")
"""The parts of its recipe that nothing is measured with."""
ASSEMBLED = ("data", "method", "batch", "trainer", "evaluation")
"""The parts of the recipe that are built beside what the artifact loads."""


@dataclass
class FinishedRun:
    """The artifact of a run with its training method and the data that its recipe names.

    `data` has been read, so that the prompt has learned what it learned in the run.
    """

    recipe: Any
    predictor: artifact.Artifact
    data: Data
    trust: Trust
    notes: tuple[str, ...] = ()
    """What makes it slow on this machine."""

    @classmethod
    def load(cls, path: str | Path, *, plugins: Plugins, vouched: tuple[str, ...] = ()) -> FinishedRun:
        """Load as `luthier.load` does, which refuses what a recipe must not name, then read the data.

        Raises RecipeError where there is no artifact, and DataError where the data is not there any more.
        """
        predictor = artifact.load_without(path, SPARE, plugins=plugins, vouched=vouched)
        trust = Trust(frozenset(vouched))
        recipe: Any = given_back(
            predictor.recipe, ("data", "method", "batch", "trainer", "evaluation"), predictor.folder
        )
        parts = assemble(recipe, trust)
        parts = replace(parts, prompt=predictor.prompt, tokenizer=predictor.tokenizer)
        predictor.network.to(parts.trainer.device)
        parts.method.take(predictor.network)
        predictor = replace(predictor, method=parts.method, autocast=parts.trainer.autocast)
        parts.data.examples("train")
        return cls(recipe, predictor, parts.data, trust, slow(recipe, parts.trainer.device))

    def evaluation(self, *, examples: int | None = None) -> Evaluation:
        """The evaluation that the recipe names, with another number of examples where one is given."""
        overrides = {} if examples is None else {"examples": examples}
        recipe: Any = OmegaConf.merge(self.recipe, {"evaluation": overrides})
        built: Evaluation = part(recipe, self.trust, "evaluation")
        return built

    def examples(self, split: str) -> Sequence[Example]:
        """DataError where the run's data has no such split."""
        examples = self.data.examples(split)
        if not examples:
            raise DataError(
                f"The data of {self.predictor.folder} has no split {split!r}.", hint="Name another one with --split."
            )
        return examples

    def trained_on(self, examples: Sequence[Example]) -> int:
        """How many of the examples are in the training split of this run."""
        seen = {text_key(example) for example in self.data.examples("train")}
        return sum(text_key(example) in seen for example in examples)
