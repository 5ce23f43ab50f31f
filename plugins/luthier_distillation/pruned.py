"""A smaller network made of a larger one: some of its layers, or narrower ones, with its embeddings and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from luthier.api import ARTIFACT_MANIFEST, RecipeError, content_hash, decoder_layers
from luthier_distillation.layers import Choice
from luthier_distillation.width import Importance, narrow, strongest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model

_PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")


class Stays(NamedTuple):
    """The numbers of what stays: layers, and for each of them key-value heads and neurons; None is all of them."""

    layers: list[int]
    heads: list[list[int]] | None
    neurons: list[list[int]] | None


class Pruned:
    """Start from `keep` layers of another model, `base`; `layers` chooses which. All other weights are the base's.

    With `heads` each layer keeps so many attention heads, whole groups of those that share keys and values; with
    `feed_forward` so many neurons. `importance` says which.
    """

    def __init__(
        self,
        *,
        base: Any,
        layers: Choice,
        importance: Importance,
        keep: int = 4,
        heads: int | None = None,
        feed_forward: int | None = None,
    ) -> None:
        self.base: Model = base
        self.layers, self.importance, self.keep = layers, importance, keep
        self.heads, self.feed_forward = heads, feed_forward
        self._given: Stays | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.base.tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        return self._smaller(self.base.config)

    @cached_property
    def stays(self) -> Stays:
        """The numbers of the base's parts; RecipeError where it does not have so many."""
        if self._given is not None:
            return self._given
        base: Any = self.base.config.get_text_config()
        _check("keep", self.keep, int(base.num_hidden_layers), "layers")
        layers = self.layers(self.base, int(base.num_hidden_layers), self.keep)
        if self.heads is None and self.feed_forward is None:
            return Stays(layers, None, None)
        groups = self._groups(base)
        if self.feed_forward is not None:
            _check("feed_forward", self.feed_forward, int(base.intermediate_size), "neurons in a layer")
        found = self.importance(self.base)
        heads = None if groups is None else [strongest(found.heads[layer], groups) for layer in layers]
        kept = self.feed_forward
        return Stays(layers, heads, None if kept is None else [strongest(found.neurons[each], kept) for each in layers])

    def network(self) -> nn.Module:
        network = self.base.network()
        before: Any = network.config.get_text_config()  # type: ignore[operator, union-attr]
        layers = decoder_layers(network)
        holder = next(
            module for module in network.modules() if isinstance(module, nn.ModuleList) and module[0] is layers[0]
        )
        stays = self.stays
        chosen = [layers[number] for number in stays.layers]
        del holder[len(chosen) :]
        for place, layer in enumerate(chosen):
            holder[place] = layer
            for module in layer.modules():
                if hasattr(module, "layer_idx"):  # where the cache of generation keeps its keys and values
                    setattr(module, "layer_idx", place)  # noqa: B010 - as mypy sees it, modules hold modules
            heads, neurons = (None if each is None else each[place] for each in stays[1:])
            narrow(layer, heads, neurons, int(before.num_key_value_heads))
        network.config.update(self._smaller(network.config).to_dict())  # type: ignore[operator, union-attr, arg-type]
        return network

    def lineage(self) -> dict[str, Any]:
        """The base's under `parent`, with what stayed and a sha256 of both; heads and neurons as hexadecimal bits."""
        base, stays = self.base.lineage(), self.stays
        both = zip(_NARROWED, stays[1:], strict=True)
        narrowed = {name: [_bits(each) for each in found] for name, found in both if found}
        return {
            **base,
            "kind": f"{base['kind']}, pruned",
            "sha256": content_hash([base.get("sha256") or base, stays.layers, *([narrowed] if narrowed else [])]),
            "layers": stays.layers,
            **narrowed,
            "parent": base,
        }

    def restore(self, folder: Path) -> None:
        """Keep what the run kept, without measuring anything."""
        kept = json.loads((folder / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))["model"]
        heads, neurons = ([_numbers(each) for each in kept[name]] if name in kept else None for name in _NARROWED)
        self._given = Stays(list(kept["layers"]), heads, neurons)

    def _groups(self, base: Any) -> int | None:
        """Key-value heads that stay; RecipeError where that would tear apart heads that share them."""
        if self.heads is None:
            return None
        _check("heads", self.heads, int(base.num_attention_heads), "heads")
        together = int(base.num_attention_heads) // int(base.num_key_value_heads)
        if self.heads % together:
            raise RecipeError(
                f"model.heads is {self.heads}, but {together} heads each share their keys and values.",
                where="model.heads",
                hint=f"Use a multiple of {together}.",
            )
        return self.heads // together

    def _smaller(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of a network that has only what stays."""
        smaller = deepcopy(config)
        text: Any = smaller.get_text_config()
        stays = self.stays
        for name in _PER_LAYER:
            if getattr(text, name, None):
                setattr(text, name, [getattr(text, name)[number] for number in stays.layers])
        text.num_hidden_layers = len(stays.layers)
        if stays.heads is not None:
            together = text.num_attention_heads // text.num_key_value_heads
            text.head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
            text.num_key_value_heads = len(stays.heads[0])
            text.num_attention_heads = together * text.num_key_value_heads
        if stays.neurons is not None:
            text.intermediate_size = len(stays.neurons[0])
        return smaller


_NARROWED = ("heads", "neurons")


def _check(name: str, asked: int, there: int, what: str) -> None:
    if not 1 <= asked <= there:
        raise RecipeError(
            f"model.{name} is {asked}, but the base has {there} {what}.",
            where=f"model.{name}",
            hint=f"Keep from 1 to {there} of them.",
        )


def _bits(numbers: Sequence[int]) -> str:
    return f"{sum(1 << number for number in numbers):x}"


def _numbers(bits: str) -> list[int]:
    found = int(bits, 16)
    return [number for number in range(found.bit_length()) if found >> number & 1]
