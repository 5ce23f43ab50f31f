"""A finished run, loaded to be evaluated again on its own examples, on those of another run or on other data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from luthier.config.withheld import given_back
from luthier.contracts.examples import Example
from luthier.contracts.trust import Trust
from luthier.data.examples import answer_of, text_key
from luthier.data.module import Data
from luthier.data.reading import SPLITS, Reading
from luthier.errors import DataError, LuthierError
from luthier.inference.class_scores import head_of
from luthier.workflows import artifact
from luthier.workflows.parts import assemble, part
from luthier.workflows.precision import slow

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.evaluation.evaluation import Evaluation
    from luthier.plugins.registry import Plugins

SPARE = ("optimizer", "trainer.strategy", "tracking")
"""The parts of its recipe that nothing is measured with."""
ASSEMBLED = ("data", "method", "batch", "trainer", "evaluation")
"""The parts of the recipe that are built beside what the artifact loads."""
EVERY = "all"
"""Stands for the examples of all splits."""
MEASURED = ("data", "evaluation")
"""The parts of a recipe that decide what is measured on which examples."""


@dataclass
class FinishedRun:
    """The artifact of a run with its training method and the data that its recipe names.

    `data` has been read, so that the prompt has learned what it learned in the run. Where other data was named instead,
    that is `other`, and the run's own may be gone: the artifact has what was learned.
    """

    recipe: Any
    predictor: artifact.Artifact
    data: Data
    trust: Trust
    notes: tuple[str, ...] = ()
    """What makes it slow on this machine, and what is not known of it."""
    other: Reading | None = None
    """The examples that were named in place of the run's own."""
    has_data: bool = True
    """Whether the run's own data is still there."""

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        plugins: Plugins,
        vouched: tuple[str, ...] = (),
        changed: Callable[[DictConfig], DictConfig] | None = None,
        needs_data: bool = True,
    ) -> FinishedRun:
        """Load as `luthier.load` does, which refuses what a recipe must not name, then read the data.

        `changed` gives the recipe with other data or another evaluation. Raises RecipeError where there is no artifact,
        and DataError where the data is not there any more; of the run's own with `needs_data` alone.
        """
        predictor = artifact.load_without(path, SPARE, plugins=plugins, vouched=vouched)
        trust = Trust(frozenset(vouched))
        own: Any = given_back(predictor.recipe, tuple(name for name in ASSEMBLED if name != "data"), predictor.folder)
        recipe = changed(own) if changed else own
        replaced = recipe.data != own.data
        if not replaced and needs_data:
            own = recipe = given_back(recipe, ("data",), predictor.folder)
        parts = assemble(recipe, trust)
        other = Reading.of(parts.source) if replaced else None
        parts = replace(parts, prompt=predictor.prompt, tokenizer=predictor.tokenizer)
        predictor.network.to(parts.trainer.device)
        parts.method.recall(predictor.manifest)
        parts.method.take(predictor.network)
        predictor = replace(predictor, method=parts.method, autocast=parts.trainer.autocast)
        notes, has_data = (*slow(recipe, parts.trainer.device), *(other.warnings if other else ())), True
        try:
            if replaced:
                own = given_back(own, ("data",), predictor.folder)
                parts = replace(parts, source=part(own, trust, "data"))
            parts.data.examples("train")
        except LuthierError as gone:
            if not replaced and needs_data:
                raise
            has_data = False
            parts.method.learn({})
            notes = (*notes, *parts.method.warnings, f"whether it was trained on these is not known: {gone.message}")
        return cls(recipe, predictor, parts.data, trust, notes, other, has_data)

    def evaluation(self, *, examples: int | None = None) -> Evaluation:
        """The evaluation that the recipe names, with another number of examples where one is given."""
        overrides: dict[str, Any] = {} if examples is None else {"examples": examples}
        if labels := self._labels():
            overrides["task"] = {"labels": labels}
        recipe: Any = OmegaConf.merge(self.recipe, {"evaluation": overrides})
        built: Evaluation = part(recipe, self.trust, "evaluation")
        return built

    def _labels(self) -> list[str]:
        """The labels to choose from on other data, which may hold only some: the head's, or all answers of both.

        Empty where the task has no labels, the recipe names them, or the data is the run's own.
        """
        task = self.recipe.evaluation.task
        if self.other is None or "labels" not in task or task.labels is not None:
            return []
        if self.predictor.is_classifier:
            return list(head_of(self.predictor.network).labels)
        if not self.has_data:
            return []
        own = (self.data.examples(split) for split in SPLITS)
        answers = {answer_of(example) for example in chain(*own, *self.other.examples.values())} - {""}
        return sorted(answers) if len(answers) <= task.get("most_labels", len(answers)) else []

    def examples(self, split: str) -> Sequence[Example]:
        """The examples of a split, or of `all`; DataError where the data has no such split."""
        names = SPLITS if split == EVERY else (split,)
        found = [self.other.examples.get(name, []) if self.other else self.data.examples(name) for name in names]
        examples = found[0] if len(found) == 1 else list(chain(*found))
        if not examples:
            whose = "The data" if self.other else f"The data of {self.predictor.folder}"
            raise DataError(f"{whose} has no split {split!r}.", hint="Name another one with --split.")
        return examples

    def trained_on(self, examples: Sequence[Example]) -> int:
        """How many of the examples are in the training split of this run; 0 where its data is not there any more."""
        if not self.has_data:
            return 0
        seen = {text_key(example) for example in self.data.examples("train")}
        return sum(text_key(example) in seen for example in examples)
