"""Greedy soup: the mean of the models that do not lower a validation score."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.api import LoadableModel, RecipeError
from luthier_ensemble.lineages import stored_lineage
from luthier_ensemble.merge import Merge
from luthier_ensemble.merging.linear import Linear

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model, Proof

log = logging.getLogger("luthier")


class GreedySoup(LoadableModel):
    """The mean of the weights of the best model and of each further one that does not lower the score.

    Models are added in the order of the recipe's score on its validation split, and one that does not lower the soup's
    score stays in it (Wortsman et al., 2022, Recipe 1). Only the final soup is cached, the candidates are not.
    """

    def __init__(self, *, models: dict[str, Model], **loading: Any) -> None:
        super().__init__(**loading)
        self.models = models
        self.chosen: list[str] = []
        self._loaded: Merge | None = None
        self._note = ""
        self._all = self._soup(list(models))  # which refuses models that do not merge

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self._all.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        return self._all.config

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        alone = {name: judge(self._soup([name]).uncached_network()) for name in self.models}
        order = sorted(self.models, key=lambda name: -alone[name])
        chosen, score = order[:1], alone[order[0]]
        for name in order[1:]:
            candidate = judge(self._soup([*chosen, name]).uncached_network())
            if candidate >= score:
                chosen, score = [*chosen, name], candidate
        self.chosen = chosen
        self._note = (
            f"Of {len(order)} models the soup has {', '.join(chosen)}; its score on the validation split was "
            f"{abs(score):.4g}, that of the best alone {abs(alone[order[0]]):.4g}."
        )
        log.info(self._note)

    def restore(self, folder: Path) -> None:
        """Take the models that the run chose."""
        self.chosen = list(stored_lineage(folder)["chosen"])

    def network(self) -> nn.Module:
        self._loaded = self._chosen_soup
        return self._loaded.network()

    def lineage(self) -> dict[str, Any]:
        """The lineage of the merge, with the chosen models."""
        return {**self._chosen_soup.lineage(), "kind": "greedy soup", "chosen": self.chosen, "note": self._note}

    @property
    def proofs(self) -> dict[str, Proof]:
        """Those of the merge of the chosen models."""
        return self._loaded.proofs if self._loaded is not None else {}

    @property
    def _chosen_soup(self) -> Merge:
        if not self.chosen:
            raise RecipeError(
                "A greedy soup has chosen nothing: it chooses on the validation split of the run whose model it is.",
                where="model",
                hint="Make it in a run of its own, and take that: model=run.",
            )
        return self._soup(self.chosen)

    def _soup(self, names: list[str]) -> Merge:
        return Merge(models={name: self.models[name] for name in names}, merging=Linear(), **asdict(self.loading))
