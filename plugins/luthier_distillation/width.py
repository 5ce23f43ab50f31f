"""Narrower layers: which heads and which neurons stay, by what they contribute to texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import RecipeError, decoder_layers
from luthier_distillation.calibration_statistics import OnExamples

if TYPE_CHECKING:
    from luthier.api import Model

QUERY, KEY_VALUE, OUT = ("q_proj",), ("k_proj", "v_proj"), "o_proj"
INTO, BACK = ("gate_proj", "up_proj"), "down_proj"


@dataclass(frozen=True, slots=True)
class Contributions:
    """How much each key-value head (with the queries that share it) and each neuron contributes, layer by layer."""

    heads: list[list[float]]
    neurons: list[list[float]]


class Importance(Protocol):
    """Says how much heads and neurons matter."""

    def __call__(self, base: Model) -> Contributions: ...


class ByActivation(OnExamples):
    """By what they add to the hidden states, the mean of its norm over tokens (after Muralidharan et al., 2024).

    Measured on the beginnings of the first `texts` training examples of `corpus`, of at most `tokens` tokens each,
    once, and kept in the cache.
    """

    def __init__(self, *, corpus: Any, texts: int = 32, tokens: int = 256) -> None:
        super().__init__(corpus=corpus, texts=texts, tokens=tokens)

    def __call__(self, base: Model) -> Contributions:
        found = self.once("contributions", base, contributions)
        return Contributions(found["heads"], found["neurons"])


def contributions(network: nn.Module, batches: Iterator[Tensor]) -> dict[str, list[list[float]]]:
    """The mean over all tokens of the norm of what each key-value head's group and each neuron adds, by layer."""
    config: Any = network.config.get_text_config()  # type: ignore[operator, union-attr]
    layers = decoder_layers(network)
    groups, count = int(config.num_key_value_heads), 0
    heads = torch.zeros(len(layers), groups, dtype=torch.float64)
    neurons = torch.zeros(len(layers), int(config.intermediate_size), dtype=torch.float64)

    def of_heads(number: int, out: nn.Linear) -> Any:
        def seen(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            given = arguments[0].flatten(0, -2)
            parts = given.view(len(given), groups, -1)
            weight = out.weight.view(len(out.weight), groups, -1)
            heads[number] += torch.einsum("tgd,hgd->tgh", parts, weight).norm(dim=-1).sum(0).cpu()

        return seen

    def of_neurons(number: int, back: nn.Linear) -> Any:
        def seen(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            neurons[number] += (arguments[0].flatten(0, -2).abs().sum(0) * back.weight.norm(dim=0)).cpu()

        return seen

    handles = []
    for number, layer in enumerate(layers):
        out, back = linear(layer, OUT), linear(layer, BACK)
        handles += [
            out.register_forward_pre_hook(of_heads(number, out)),
            back.register_forward_pre_hook(of_neurons(number, back)),
        ]
    try:
        for ids in batches:
            network(input_ids=ids, use_cache=False, logits_to_keep=1)
            count += ids.numel()
    finally:
        for handle in handles:
            handle.remove()
    return {"heads": (heads / max(1, count)).tolist(), "neurons": (neurons / max(1, count)).tolist()}


def linear(layer: nn.Module, name: str) -> nn.Linear:
    """The linear map of this name in a layer; RecipeError where there is none, or several."""
    found = [module for path, module in layer.named_modules() if path.rpartition(".")[2] == name]
    if len(found) != 1 or not isinstance(found[0], nn.Linear):
        raise RecipeError(
            f"{type(layer).__name__} has {len(found)} linear maps called {name}, where one is expected.",
            where="model",
            hint="Only layers in the form of Llama's can be narrowed; leave out model.heads and model.feed_forward.",
        )
    return found[0]


def strongest(contributions: list[float], keep: int) -> list[int]:
    """The numbers of those that contribute most, in order."""
    chosen = sorted(range(len(contributions)), key=lambda number: (-contributions[number], number))[:keep]
    return sorted(chosen)


def narrow(layer: nn.Module, heads: list[int] | None, neurons: list[int] | None, groups: int) -> None:
    """Leave in a layer the key-value heads of those numbers, of so many, with their queries, and those neurons."""
    if heads is not None:
        for name in (*QUERY, *KEY_VALUE, OUT):
            whole = linear(layer, name)
            size = (whole.in_features if name == OUT else whole.out_features) // groups
            places = torch.cat([torch.arange(head * size, (head + 1) * size) for head in heads])
            _cut(whole, places, of_input=name == OUT)
    if neurons is not None:
        for name in (*INTO, BACK):
            _cut(linear(layer, name), torch.tensor(neurons), of_input=name == BACK)


def _cut(module: nn.Linear, places: Tensor, *, of_input: bool) -> None:
    """Leave the inputs or the outputs of those numbers."""
    module.weight = nn.Parameter(module.weight.detach().index_select(int(of_input), places))
    module.out_features, module.in_features = module.weight.shape
    if module.bias is not None and not of_input:
        module.bias = nn.Parameter(module.bias.detach()[places])
