"""Parameter groups: weight decay, learning rates by weight, and the hidden matrices of a network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from luthier.errors import RecipeError
from luthier.training.shards import mesh_of

Named = Iterable[tuple[str, nn.Parameter]]
Rate = Callable[[str], float]

_TABLES = re.compile(r"(^|\.)(\w*embed\w*|wte|wpe|lm_head|score)(\.|$)")


def is_embedding_table(name: str) -> bool:
    """Whether a weight of this name belongs to the embeddings or the head, whose rows are tokens."""
    return _TABLES.search(name) is not None


def is_hidden_matrix(name: str, weight: nn.Parameter) -> bool:
    """True for the matrices inside a network; False for norms, biases, embeddings and the head."""
    return weight.ndim == 2 and not is_embedding_table(name)


def trainable(named: Named) -> list[tuple[str, nn.Parameter]]:
    """The weights that may move; RecipeError where there is none."""
    kept = [(name, weight) for name, weight in named if weight.requires_grad]
    if not kept:
        raise RecipeError(
            "The adaptation leaves no weight to train.", where="adaptation", hint="Choose one with weights that move."
        )
    return kept


def one_rate(name: str) -> float:
    """All weights move at the same rate."""
    return 1.0


def by_rate(named: Named, lr: float, rate: Rate) -> list[tuple[float, list[tuple[str, nn.Parameter]]]]:
    """The weights that may move with their learning rate; those of the rate `lr` itself come first."""
    found: dict[float, list[tuple[str, nn.Parameter]]] = {1.0: []}
    for name, weight in trainable(named):
        found.setdefault(rate(name), []).append((name, weight))
    return [(lr * factor, together) for factor, together in found.items() if together]


def parameter_groups(named: Named, lr: float, weight_decay: float, rate: Rate) -> list[dict[str, Any]]:
    """For each rate the groups of `with_and_without_decay`."""
    return [
        {**group, "lr": own}
        for own, together in by_rate(named, lr, rate)
        for group in with_and_without_decay(together, weight_decay)
    ]


def with_and_without_decay(named: Named, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: hidden matrices decay; norms, biases, embeddings and the head do not."""
    named = trainable(named)
    decay = [weight for name, weight in named if is_hidden_matrix(name, weight)]
    rest = [weight for name, weight in named if not is_hidden_matrix(name, weight)]
    groups = ((decay, weight_decay), (rest, 0.0))
    return [{"params": each, "weight_decay": rate} for weights, rate in groups for each in by_mesh(weights)]


def by_mesh(weights: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Weights that one call can update: those that are spread over the same ranks, or over none."""
    found: dict[Any, list[nn.Parameter]] = {}
    for weight in weights:
        found.setdefault(mesh_of(weight), []).append(weight)
    return list(found.values())
