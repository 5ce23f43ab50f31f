"""Width pruning: the attention heads and neurons that narrower layers keep, by their contribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import RecipeError, decoder_layers
from luthier_distillation.calibration_statistics import CalibrationStatistics, forward_all

if TYPE_CHECKING:
    from luthier.api import Model

QUERY, KEY_VALUE, OUT = ("q_proj",), ("k_proj", "v_proj"), "o_proj"
UP, DOWN = ("gate_proj", "up_proj"), "down_proj"


@dataclass(frozen=True, slots=True)
class Contributions:
    """The contribution of each key-value head (with the queries that share it) and of each neuron, by layer."""

    heads: list[list[float]]
    neurons: list[list[float]]


class Importance(Protocol):
    """Gives the contributions of the heads and neurons of a model, for `model/importance`."""

    def __call__(self, base: Model) -> Contributions: ...


class ByActivation(CalibrationStatistics):
    """The norm of what a head or neuron adds to the hidden states, the mean over tokens (Muralidharan et al., 2024).

    It is measured on the beginnings of the first `texts` training examples of `corpus`, of at most `tokens` tokens
    each, once, and stored in the cache.
    """

    def __call__(self, base: Model) -> Contributions:
        measured = self.measured("contributions", base, contributions)
        return Contributions(measured["heads"], measured["neurons"])


def contributions(network: nn.Module, batches: Iterator[Tensor]) -> dict[str, list[list[float]]]:
    """The mean over tokens of the norm of what each key-value head's group and each neuron adds, by layer."""
    config: Any = network.config.get_text_config()  # type: ignore[operator, union-attr]
    layers = decoder_layers(network)
    groups = int(config.num_key_value_heads)
    heads = torch.zeros(len(layers), groups, dtype=torch.float64)
    neurons = torch.zeros(len(layers), int(config.intermediate_size), dtype=torch.float64)

    def of_heads(number: int, out: nn.Linear) -> Any:
        def add(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            activations = arguments[0].flatten(0, -2)
            parts = activations.view(len(activations), groups, -1)
            weight = out.weight.view(len(out.weight), groups, -1)
            heads[number] += torch.einsum("tgd,hgd->tgh", parts, weight).norm(dim=-1).sum(0).cpu()

        return add

    def of_neurons(number: int, down: nn.Linear) -> Any:
        def add(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            neurons[number] += (arguments[0].flatten(0, -2).abs().sum(0) * down.weight.norm(dim=0)).cpu()

        return add

    hooks = []
    for number, layer in enumerate(layers):
        out, down = linear(layer, OUT), linear(layer, DOWN)
        hooks += [
            out.register_forward_pre_hook(of_heads(number, out)),
            down.register_forward_pre_hook(of_neurons(number, down)),
        ]
    tokens = forward_all(network, batches, hooks)
    return {"heads": (heads / tokens).tolist(), "neurons": (neurons / tokens).tolist()}


def linear(layer: nn.Module, name: str) -> nn.Linear:
    """The linear layer of this name in a decoder layer; RecipeError where there is none, or several."""
    modules = [module for path, module in layer.named_modules() if path.rpartition(".")[2] == name]
    if len(modules) != 1 or not isinstance(modules[0], nn.Linear):
        raise RecipeError(
            f"{type(layer).__name__} has {len(modules)} linear layers called {name}, where one is expected.",
            where="model",
            hint="Only layers in the form of Llama's can be narrowed; leave out model.heads and model.feed_forward.",
        )
    return modules[0]


def largest(contributions: list[float], keep: int) -> list[int]:
    """The numbers of the `keep` largest contributions, in ascending order."""
    highest = sorted(range(len(contributions)), key=lambda number: (-contributions[number], number))[:keep]
    return sorted(highest)


def narrow(layer: nn.Module, heads: list[int] | None, neurons: list[int] | None, groups: int) -> None:
    """Keep these of the `groups` key-value heads, with their queries, and these neurons; None keeps all."""
    if heads is not None:
        for name in (*QUERY, *KEY_VALUE, OUT):
            module = linear(layer, name)
            size = (module.in_features if name == OUT else module.out_features) // groups
            kept = torch.cat([torch.arange(head * size, (head + 1) * size) for head in heads])
            _keep(module, kept, of_input=name == OUT)
    if neurons is not None:
        for name in (*UP, DOWN):
            _keep(linear(layer, name), torch.tensor(neurons), of_input=name == DOWN)


def _keep(module: nn.Linear, kept: Tensor, *, of_input: bool) -> None:
    """Keep the inputs or the outputs of these numbers, int64 [n]."""
    module.weight = nn.Parameter(module.weight.detach().index_select(int(of_input), kept))
    module.out_features, module.in_features = module.weight.shape
    if module.bias is not None and not of_input:
        module.bias = nn.Parameter(module.bias.detach()[kept])
