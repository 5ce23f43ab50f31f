"""In which layer a weight lies, and numbers that change from layer to layer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from luthier.api import RecipeError, nearest

_NUMBER = re.compile(r"\.(\d+)\.")

Numbers = Mapping[str, float | Sequence[float]]
"""A number for each model, or several, spread evenly from its first layer to its last and interpolated."""


def layer_of(name: str) -> int | None:
    """The layer of a weight by its name: the first number in it; None outside the layers."""
    found = _NUMBER.search(name)
    return int(found[1]) if found else None


def in_layer(name: str, layer: int) -> str:
    """The name of the same weight in another layer."""
    return _NUMBER.sub(f".{layer}.", name, count=1)


def depths(names: Sequence[str], layers: int) -> dict[str, float]:
    """How deep each weight lies: 0 in the first layer, 1 in the last.

    What stands outside the layers is 0 where its name holds `embed`, `wte` or `wpe`, and 1 after them.
    """
    found = {}
    for name in names:
        layer = layer_of(name)
        early = any(word in name for word in ("embed_tokens", "embed_in", "wte", "wpe", "embeddings"))
        found[name] = (layer / max(1, layers - 1)) if layer is not None else 0.0 if early else 1.0
    return found


def number(given: Numbers | None, model: str, depth: float, otherwise: float) -> float:
    """The number of a model at a depth; `otherwise` where none is given."""
    value = (given or {}).get(model, otherwise)
    if isinstance(value, (int, float)):
        return float(value)
    return float(np.interp(depth, np.linspace(0, 1, len(value)), value)) if len(value) > 1 else float(value[0])


def check_named(given: Numbers | None, models: Sequence[str], setting: str) -> None:
    """RecipeError for a model that is not there, and for an empty list of numbers."""
    for name, value in (given or {}).items():
        where = f"model.merging.{setting}.{name}"
        if name not in models:
            raise RecipeError(
                f"There is no model {name!r} to give a number to.", where=where,
                hint=nearest(name, models, "The models are"),
            )  # fmt: skip
        if not isinstance(value, (int, float)) and not value:
            raise RecipeError("A list of numbers for the layers is empty.", where=where)
