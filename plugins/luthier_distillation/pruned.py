"""A student pruned from a larger model: some of its layers, or narrower ones, with its embeddings and tokenizer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from luthier.api import (
    ARTIFACT_MANIFEST,
    RecipeError,
    content_hash,
    decoder_layers,
    meta_causal_lm,
    processor_files,
    proofs_of,
)
from luthier_distillation.layers import LayerChoice
from luthier_distillation.width import Importance, largest, narrow

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from luthier.api import Model, Proof

_PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")


class KeptParts(NamedTuple):
    """The numbers of the layers that are kept, and for each of them of the key-value heads and neurons; None is all."""

    layers: list[int]
    heads: list[list[int]] | None
    neurons: list[list[int]] | None


class Pruned:
    """A network of `keep` layers of another model, `base`, chosen by `layers`; all other weights are the base's.

    With `heads` each layer keeps that number of attention heads, whole groups of those that share keys and values; with
    `feed_forward` that number of neurons. Those of the largest contribution by `importance` are kept.
    """

    def __init__(
        self,
        *,
        base: Any,
        layers: LayerChoice,
        importance: Importance,
        keep: int = 4,
        heads: int | None = None,
        feed_forward: int | None = None,
    ) -> None:
        self.base: Model = base
        self.layers, self.importance, self.keep = layers, importance, keep
        self.heads, self.feed_forward = heads, feed_forward
        self._restored: KeptParts | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.base.tokenizer

    @cached_property
    def config(self) -> PretrainedConfig:
        return self._smaller(self.base.config)

    @cached_property
    def kept(self) -> KeptParts:
        """The numbers of the base's parts that are kept; RecipeError where it does not have so many."""
        if self._restored is not None:
            return self._restored
        base: Any = self.base.config.get_text_config()
        _check("keep", self.keep, int(base.num_hidden_layers), "layers")
        layers = self.layers(self.base, int(base.num_hidden_layers), self.keep)
        if self.heads is None and self.feed_forward is None:
            return KeptParts(layers, None, None)
        groups = self._groups(base)
        if self.feed_forward is not None:
            _check("feed_forward", self.feed_forward, int(base.intermediate_size), "neurons in a layer")
        contributions, neurons = self.importance(self.base), self.feed_forward
        return KeptParts(
            layers,
            None if groups is None else [largest(contributions.heads[layer], groups) for layer in layers],
            None if neurons is None else [largest(contributions.neurons[layer], neurons) for layer in layers],
        )

    def network(self) -> nn.Module:
        network = self.base.network()
        config: Any = network.config.get_text_config()  # type: ignore[operator, union-attr]
        layers = decoder_layers(network)
        holder = next(
            module for module in network.modules() if isinstance(module, nn.ModuleList) and module[0] is layers[0]
        )
        kept = self.kept
        kept_layers = [layers[number] for number in kept.layers]
        del holder[len(kept_layers) :]
        for place, layer in enumerate(kept_layers):
            holder[place] = layer
            for module in layer.modules():
                if hasattr(module, "layer_idx"):  # the place of its keys and values in the KV cache
                    setattr(module, "layer_idx", place)  # noqa: B010 - as mypy sees it, modules hold modules
            heads, neurons = (None if of_layers is None else of_layers[place] for of_layers in kept[1:])
            narrow(layer, heads, neurons, int(config.num_key_value_heads))
        config.update(self._smaller(network.config).get_text_config().to_dict())  # type: ignore[arg-type]
        _check_shapes(network)
        return network

    @property
    def proofs(self) -> dict[str, Proof]:
        """Those of the base."""
        return proofs_of(self.base)

    def processor_files(self) -> list[Path]:
        """Those of the base."""
        return processor_files(self.base)

    def lineage(self) -> dict[str, Any]:
        """The base's under `parent`, with what is kept and a sha256 of both; heads and neurons as hexadecimal bits."""
        base, kept = self.base.lineage(), self.kept
        of_layers = zip(_NARROWED, kept[1:], strict=True)
        narrowed = {name: [_bits(numbers) for numbers in layers] for name, layers in of_layers if layers}
        return {
            **base,
            "kind": f"{base['kind']}, pruned",
            "sha256": content_hash([base.get("sha256") or base, kept.layers, *([narrowed] if narrowed else [])]),
            "layers": kept.layers,
            **narrowed,
            "parent": base,
        }

    def restore(self, folder: Path) -> None:
        """Keep the parts that the manifest of an artifact names, without measuring their contributions."""
        lineage = json.loads((folder / ARTIFACT_MANIFEST).read_text(encoding="utf-8"))["model"]
        heads, neurons = ([_numbers(bits) for bits in lineage[name]] if name in lineage else None for name in _NARROWED)
        self._restored = KeptParts(list(lineage["layers"]), heads, neurons)

    def _groups(self, base: Any) -> int | None:
        """The number of key-value heads to keep; RecipeError where that would separate heads that share them."""
        if self.heads is None:
            return None
        _check("heads", self.heads, int(base.num_attention_heads), "heads")
        group = int(base.num_attention_heads) // int(base.num_key_value_heads)
        if self.heads % group:
            raise RecipeError(
                f"model.heads is {self.heads}, but {group} heads each share their keys and values.",
                where="model.heads",
                hint=f"Use a multiple of {group}.",
            )
        return self.heads // group

    def _smaller(self, config: PretrainedConfig) -> PretrainedConfig:
        """The configuration of a network that has only the parts that are kept."""
        smaller = deepcopy(config)
        text: Any = smaller.get_text_config()
        kept = self.kept
        for name in _PER_LAYER:
            if getattr(text, name, None):
                setattr(text, name, [getattr(text, name)[number] for number in kept.layers])
        text.num_hidden_layers = len(kept.layers)
        if kept.heads is not None:
            group = text.num_attention_heads // text.num_key_value_heads
            text.head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
            text.num_key_value_heads = len(kept.heads[0])
            text.num_attention_heads = group * text.num_key_value_heads
        if kept.neurons is not None:
            text.intermediate_size = len(kept.neurons[0])
        return smaller


_NARROWED = ("heads", "neurons")


def _check(name: str, kept: int, count: int, what: str) -> None:
    if not 1 <= kept <= count:
        raise RecipeError(
            f"model.{name} is {kept}, but the base has {count} {what}.",
            where=f"model.{name}",
            hint=f"Keep from 1 to {count} of them.",
        )


def _check_shapes(network: Any) -> None:
    """RecipeError where the architecture builds other shapes from the smaller configuration than are kept."""
    built = dict(meta_causal_lm(network.config).named_parameters())
    for name, weight in network.named_parameters():
        if built[name].shape != weight.shape:
            raise RecipeError(
                f"{type(network).__name__} derives the width of a head from its number of heads: {name} would not fit "
                "when the student is loaded again.",
                where="model.heads",
                hint="Prune layers (model.keep) and neurons (model.feed_forward) alone.",
            )


def _bits(numbers: Sequence[int]) -> str:
    return f"{sum(1 << number for number in numbers):x}"


def _numbers(bits: str) -> list[int]:
    mask = int(bits, 16)
    return [number for number in range(mask.bit_length()) if mask >> number & 1]
