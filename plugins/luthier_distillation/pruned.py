"""A smaller network made of a larger one: some of its layers, with its embeddings, head and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.artifact import MANIFEST
from luthier.data import identity
from luthier.errors import RecipeError
from luthier.models.loading import decoder_layers
from luthier_distillation.layers import Choice

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.parts import Model

_PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")


class Pruned:
    """Start from `keep` layers of another model, `base`; `layers` chooses which. All other weights are the base's."""

    def __init__(self, *, base: Any, layers: Choice, keep: int = 4) -> None:
        self.base: Model = base
        self.layers, self.keep = layers, keep
        self._given: list[int] | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.base.tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        return _smaller(self.base.config, self.kept)

    @cached_property
    def kept(self) -> list[int]:
        """The numbers of the base's layers; RecipeError where it does not have so many."""
        if self._given is not None:
            return self._given
        there = int(self.base.config.get_text_config().num_hidden_layers)
        if not 1 <= self.keep <= there:
            raise RecipeError(
                f"model.keep is {self.keep}, but the base has {there} layers.",
                where="model.keep",
                hint=f"Keep from 1 to {there} of them.",
            )
        return self.layers(self.base, there, self.keep)

    def network(self) -> nn.Module:
        network = self.base.network()
        layers = decoder_layers(network)
        holder = next(
            module for module in network.modules() if isinstance(module, nn.ModuleList) and module[0] is layers[0]
        )
        chosen = [layers[number] for number in self.kept]
        del holder[len(chosen) :]
        for place, layer in enumerate(chosen):
            holder[place] = layer
            for module in layer.modules():
                if hasattr(module, "layer_idx"):  # where the cache of generation keeps its keys and values
                    setattr(module, "layer_idx", place)  # noqa: B010 - as mypy sees it, modules hold modules
        smaller = _smaller(network.config, self.kept)  # type: ignore[arg-type]
        network.config.update(smaller.to_dict())  # type: ignore[operator, union-attr]
        return network

    def lineage(self) -> dict[str, Any]:
        """The base's under `parent`, with the layers that stayed and a sha256 of both."""
        base = self.base.lineage()
        return {
            **base,
            "kind": f"{base['kind']}, pruned",
            "sha256": identity.of([base.get("sha256") or base, self.kept]),
            "layers": self.kept,
            "parent": base,
        }

    def restore(self, folder: Path) -> None:
        """Keep the layers that the run kept, without measuring anything."""
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        self._given = list(manifest["model"]["layers"])


def _smaller(config: PretrainedConfig, kept: Sequence[int]) -> PretrainedConfig:
    """The configuration of a network that has only these layers."""
    smaller = deepcopy(config)
    text: Any = smaller.get_text_config()
    for name in _PER_LAYER:
        if getattr(text, name, None):
            setattr(text, name, [getattr(text, name)[number] for number in kept])
    text.num_hidden_layers = len(kept)
    return smaller
