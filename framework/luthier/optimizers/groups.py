"""Which weights decay, and which are matrices that turn hidden states into hidden states."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from torch import nn

from luthier.errors import RecipeError

Named = Iterable[tuple[str, nn.Parameter]]

_TABLES = re.compile(r"(^|\.)(\w*embed\w*|wte|wpe|lm_head|score)(\.|$)")


def is_hidden_matrix(name: str, weight: nn.Parameter) -> bool:
    """True for the matrices inside a network; False for norms, biases, embeddings and the head."""
    return weight.ndim == 2 and _TABLES.search(name) is None


def trainable(named: Named) -> list[tuple[str, nn.Parameter]]:
    """The weights that may move; RecipeError where there is none."""
    kept = [(name, weight) for name, weight in named if weight.requires_grad]
    if not kept:
        raise RecipeError(
            "The adaptation leaves no weight to train.", where="adaptation", hint="Choose one with weights that move."
        )
    return kept


def with_and_without_decay(named: Named, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups: hidden matrices decay; norms, biases, embeddings and the head do not."""
    named = trainable(named)
    decay = [weight for name, weight in named if is_hidden_matrix(name, weight)]
    rest = [weight for name, weight in named if not is_hidden_matrix(name, weight)]
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
