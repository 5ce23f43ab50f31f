"""Learned ensemble weights: the members are frozen, and the weight of each is trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from luthier.api import NamedWeightsAdaptation, RecipeError
from luthier_ensemble.network import EnsembleNetwork


class TrainableWeights(nn.Module):
    """log softmax(b): the same weights for every token, [M]."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(weights).log())

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.log_softmax(self.logits.float(), dim=-1)


class TokenGate(nn.Module):
    """log softmax(W · norm(h) + b) for each token, [n, M], h being the members' last hidden states concatenated.

    W starts as 0 and b as the log weights of the recipe, so that the ensemble starts unchanged.
    """

    def __init__(self, weights: Sequence[float], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(weights), width))
        self.bias = nn.Parameter(torch.tensor(weights).log())

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            normed = nn.functional.layer_norm(hidden.float(), hidden.shape[-1:])
            logits = nn.functional.linear(normed, self.weight.float(), self.bias.float())
        return torch.log_softmax(logits, dim=-1)


class LearnedWeights(NamedWeightsAdaptation):
    """Freeze the members of an ensemble and train the module that weights them."""

    @abstractmethod
    def gate(self, weights: Sequence[float], width: int) -> nn.Module:
        """The module, starting from the recipe's weights; `width` is that of the concatenated hidden states."""

    def __call__(self, network: nn.Module) -> nn.Module:
        ensemble = _weighted_ensemble(network)
        ensemble.requires_grad_(False)
        device = next(ensemble.members.parameters()).device
        ensemble.mix.replace_gate(self.gate(ensemble.mix.weights(), sum(ensemble.mix.widths)).to(device))
        return ensemble

    def merge(self, network: nn.Module) -> nn.Module:
        raise RecipeError(
            "The weights of an ensemble's members are part of no member, so they cannot be merged into one network.",
            where="adaptation",
            hint="Distill it into a single one: method=distill, with the run as method.teacher.",
        )


class Mixing(LearnedWeights):
    """Freeze the members of an ensemble and learn the weight of each, the same for every token."""

    def gate(self, weights: Sequence[float], width: int) -> nn.Module:
        return TrainableWeights(weights)


class Gate(LearnedWeights):
    """Freeze the members of an ensemble and learn the weight of each for each next token (Jacobs et al., 1991)."""

    def gate(self, weights: Sequence[float], width: int) -> nn.Module:
        return TokenGate(weights, width)


def _weighted_ensemble(network: Any) -> EnsembleNetwork:
    """The ensemble whose members have weights; RecipeError for any other network."""
    if not isinstance(network, EnsembleNetwork):
        raise RecipeError(
            f"{type(network).__name__} has no members whose weights could be learned.",
            where="adaptation",
            hint="Choose model=ensemble, or another adaptation.",
        )
    if not network.mix.combining.weighted:
        raise RecipeError(
            f"{type(network.mix.combining).__name__} gives its members roles, so there are no weights to learn.",
            where="model.combining",
            hint="Choose model/combining=mixture or product.",
        )
    return network
