"""Learned ensembles: how much each member counts is learned, and the members stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from luthier.api import NamedWeightsAdaptation, RecipeError
from luthier_ensemble.network import EnsembleNetwork


class LearnedShares(nn.Module):
    """log softmax(b): the same shares for every token, [M]."""

    def __init__(self, shares: Sequence[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(shares).log())

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.log_softmax(self.logits.float(), dim=-1)


class TokenGate(nn.Module):
    """log softmax(W · norm(h) + b) for each token, [n, M], h being the members' last hidden states side by side.

    W begins as 0 and b as the shares that the recipe gives, so that nothing changes before it is trained.
    """

    def __init__(self, shares: Sequence[float], width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(shares), width))
        self.bias = nn.Parameter(torch.tensor(shares).log())

    def forward(self, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            normed = nn.functional.layer_norm(hidden.float(), hidden.shape[-1:])
            logits = nn.functional.linear(normed, self.weight.float(), self.bias.float())
        return torch.log_softmax(logits, dim=-1)


class Mixing(NamedWeightsAdaptation):
    """Freeze the members of an ensemble and learn how much each counts, the same for every token."""

    def __call__(self, network: nn.Module) -> nn.Module:
        ensemble = _weighted(network)
        return _gated(ensemble, LearnedShares(_shares(ensemble)))

    def merge(self, network: nn.Module) -> nn.Module:
        raise _part_of_none()


class Gate(NamedWeightsAdaptation):
    """Freeze the members of an ensemble and learn how much each counts for each next token (Jacobs et al., 1991)."""

    def __call__(self, network: nn.Module) -> nn.Module:
        ensemble = _weighted(network)
        return _gated(ensemble, TokenGate(_shares(ensemble), sum(ensemble.mix.widths)))

    def merge(self, network: nn.Module) -> nn.Module:
        raise _part_of_none()


def _weighted(network: Any) -> EnsembleNetwork:
    """The ensemble whose members have shares; RecipeError for any other network."""
    if not isinstance(network, EnsembleNetwork):
        raise RecipeError(
            f"{type(network).__name__} has no members whose shares could be learned.",
            where="adaptation",
            hint="Choose model=ensemble, or another adaptation.",
        )
    if not network.mix.combining.weighted:
        raise RecipeError(
            f"{type(network.mix.combining).__name__} gives its members roles, so there are no shares to learn.",
            where="model.combining",
            hint="Choose model/combining=mixture or product.",
        )
    return network


def _shares(ensemble: EnsembleNetwork) -> list[float]:
    return ensemble.mix.combining.shares(ensemble.mix.names)


def _gated(ensemble: EnsembleNetwork, gate: nn.Module) -> EnsembleNetwork:
    ensemble.requires_grad_(False)
    weight = next(ensemble.members.parameters())
    ensemble.mix.gate = gate.to(weight.device)
    return ensemble


def _part_of_none() -> RecipeError:
    return RecipeError(
        "What the members of an ensemble count is a weight of none of them, so it cannot be merged into one network.",
        where="adaptation",
        hint="Teach it to a single one: method=distill, with the run as method.teacher.",
    )
