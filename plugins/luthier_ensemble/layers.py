"""The layer and the depth of a weight, and numbers that are interpolated over the layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from luthier.api import RecipeError, check_names

_LAYER = re.compile(r"\.(\d+)\.")
_EMBEDDINGS = ("embed_tokens", "embed_in", "wte", "wpe", "embeddings")

LayerNumbers = Mapping[str, float | Sequence[float]]
"""A number for each model, or several, spread evenly from its first layer to its last and interpolated."""


def layer_of(name: str) -> int | None:
    """The layer of a weight by its name: the first number in it; None outside the layers."""
    match = _LAYER.search(name)
    return int(match[1]) if match else None


def in_layer(name: str, layer: int) -> str:
    """The name of the same weight in another layer."""
    return _LAYER.sub(f".{layer}.", name, count=1)


def depths(names: Sequence[str], layers: int) -> dict[str, float]:
    """The depth of each weight: 0 in the first layer, 1 in the last.

    Outside the layers it is 0 for embeddings, which the name shows (`embed`, `wte` or `wpe`), and else 1.
    """
    by_name = {}
    for name in names:
        layer = layer_of(name)
        outside = 0.0 if any(word in name for word in _EMBEDDINGS) else 1.0
        by_name[name] = outside if layer is None else layer / max(1, layers - 1)
    return by_name


def number_at(numbers: LayerNumbers | None, model: str, depth: float, default: float) -> float:
    """The number of a model at a depth, linearly interpolated between layers; `default` where none is given."""
    value = (numbers or {}).get(model, default)
    if isinstance(value, (int, float)):
        return float(value)
    return float(np.interp(depth, np.linspace(0, 1, len(value)), value)) if len(value) > 1 else float(value[0])


def check_numbers(numbers: LayerNumbers | None, models: Sequence[str], setting: str) -> None:
    """RecipeError for a number of an unknown model, and for an empty list of numbers."""
    for name, value in (numbers or {}).items():
        where = f"model.merging.{setting}.{name}"
        check_names([name], models, kind="model", use="to give a number to", where=where)
        if not isinstance(value, (int, float)) and not value:
            raise RecipeError("A list of numbers for the layers is empty.", where=where)
