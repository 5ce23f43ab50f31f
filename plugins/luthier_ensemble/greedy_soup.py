"""A soup of those models that make it better."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from luthier.api import ARTIFACT_MANIFEST, RecipeError
from luthier_ensemble.merge import Merge
from luthier_ensemble.merging.linear import Linear

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model

log = logging.getLogger("luthier")


class GreedySoup:
    """The mean of the weights of the best model and of each further one that does not make it worse.

    Models are tried in the order of the recipe's score on its validation split, and what does not lower the soup's
    score stays in it (Wortsman et al., 2022, Recipe 1). Only the soup is kept, the ones tried on the way are not.
    """

    def __init__(
        self,
        *,
        models: dict[str, Model],
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32",
        attn_implementation: str = "luthier_packed",
        gradient_checkpointing: bool = False,
        compile: bool = False,
        chat_template: str | None = None,
    ) -> None:
        self.models = models
        self.loading: dict[str, Any] = {
            "dtype": dtype,
            "attn_implementation": attn_implementation,
            "gradient_checkpointing": gradient_checkpointing,
            "compile": compile,
            "chat_template": chat_template,
        }
        self.chosen: list[str] = []
        self._found = ""
        self._all = self._soup(list(models))  # which says what does not fit together

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self._all.tokenizer

    @property
    def config(self) -> PretrainedConfig:
        return self._all.config

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        alone = {name: judge(self._soup([name]).tried()) for name in self.models}
        order = sorted(self.models, key=lambda name: -alone[name])
        chosen, score = order[:1], alone[order[0]]
        for name in order[1:]:
            found = judge(self._soup([*chosen, name]).tried())
            if found >= score:
                chosen, score = [*chosen, name], found
        self.chosen = chosen
        self._found = (
            f"Of {len(order)} models the soup has {', '.join(chosen)}; its score on the validation split was "
            f"{abs(score):.4g}, that of the best alone {abs(alone[order[0]]):.4g}."
        )
        log.info(self._found)

    def restore(self, folder: Path) -> None:
        """Take the models that the run chose."""
        manifest = json.loads((folder / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))
        self.chosen = list(manifest["model"]["chosen"])

    def network(self) -> nn.Module:
        return self._made.network()

    def lineage(self) -> dict[str, Any]:
        """That of the merge, with what was chosen."""
        return {**self._made.lineage(), "kind": "greedy soup", "chosen": self.chosen, "note": self._found}

    @property
    def _made(self) -> Merge:
        if not self.chosen:
            raise RecipeError(
                "A greedy soup has chosen nothing: it does so on the validation split of the run whose model it is.",
                where="model",
                hint="Make it in a run of its own, and take that: model=run.",
            )
        return self._soup(self.chosen)

    def _soup(self, names: list[str]) -> Merge:
        return Merge(models={name: self.models[name] for name in names}, merging=Linear(), **self.loading)
