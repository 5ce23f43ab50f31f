"""A finished run as a model that can be measured again, on its own examples or another run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.instantiate import instantiate
from luthier.contracts.examples import Example
from luthier.contracts.trust import Trust
from luthier.data.examples import content_key
from luthier.data.module import Data
from luthier.errors import DataError
from luthier.workflows import artifact
from luthier.workflows.parts import assemble

if TYPE_CHECKING:
    from luthier.evaluation.evaluation import Evaluation
    from luthier.plugins.registry import Plugins


@dataclass
class Finished:
    """The artifact of a run, with the method whose loss it was trained by and the data that its recipe names.

    `data` has been read, so that the prompt has learned what it learned in the run.
    """

    recipe: Any
    subject: artifact.Artifact
    data: Data

    @classmethod
    def load(cls, path: str | Path, *, plugins: Plugins, vouched: tuple[str, ...] = ()) -> Finished:
        """Load as `luthier.load` does, which refuses what a recipe must not name, then read the data.

        Raises RecipeError where there is no artifact, and DataError where the data is not there any more.
        """
        subject = artifact.load(path, plugins=plugins, vouched=vouched)
        trust = Trust(frozenset(vouched))
        recipe: Any = subject.recipe
        parts = assemble(recipe, trust)
        parts = replace(parts, prompt=subject.prompt)
        subject.network.to(parts.trainer.device)
        parts.method.take(subject.network)
        subject = replace(subject, method=parts.method, autocast=parts.trainer.autocast)
        parts.data.examples("train")
        return cls(recipe, subject, parts.data)

    def evaluation(self, *, examples: int | None = None) -> Evaluation:
        """The evaluation that the recipe names, with another number of examples where one is given."""
        chosen = {} if examples is None else {"examples": examples}
        made: Evaluation = instantiate(OmegaConf.merge(self.recipe.evaluation, chosen))
        return made

    def examples(self, split: str) -> Sequence[Example]:
        """DataError where the run's data has no such split."""
        found = self.data.examples(split)
        if not found:
            raise DataError(
                f"The data of {self.subject.folder} has no split {split!r}.", hint="Name another one with --split."
            )
        return found

    def trained_on(self, examples: Sequence[Example]) -> int:
        """How many of the examples are in the training split of this run."""
        seen = {content_key(example) for example in self.data.examples("train")}
        return sum(content_key(example) in seen for example in examples)
