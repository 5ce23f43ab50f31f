"""Layers of several models on top of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from luthier.api import RecipeError, nearest
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class Passthrough(Merging):
    """Stack runs of layers, each `{model: NAME, layers: [first, end]}`, the last not included, as they are.

    What stands before the layers comes from the model of the first run, what stands after them from that of the last.
    """

    slices: list[dict[str, Any]] = field(default_factory=list)

    needs_base = False

    def check(self, models: Sequence[str], base: str | None) -> None:
        if not self.slices:
            raise RecipeError(
                "passthrough has no layers to stack.",
                where="model.merging.slices",
                hint="Set model.merging.slices=[{model: NAME, layers: [0, 12]}, …].",
            )
        for number, one in enumerate(self.slices):
            where, layers = f"model.merging.slices[{number}]", one.get("layers")
            if one.get("model") not in models:
                hint = nearest(str(one.get("model")), models, "The models are")
                raise RecipeError(f"There is no model {one.get('model')!r}.", where=where, hint=hint)
            if set(one) != {"model", "layers"} or not _is_range(layers):
                raise RecipeError("A slice is {model: NAME, layers: [first, end]}.", where=where)

    def stack(self, layers: Mapping[str, int]) -> list[tuple[str, int]]:
        for number, one in enumerate(self.slices):
            if one["layers"][1] > layers[one["model"]]:
                raise RecipeError(
                    f"{one['model']} has {layers[one['model']]} layers.", where=f"model.merging.slices[{number}]"
                )
        return [(one["model"], layer) for one in self.slices for layer in range(*one["layers"])]

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        (only,) = tensors.values()
        return only


def _is_range(layers: Any) -> bool:
    if not isinstance(layers, list) or len(layers) != 2 or not all(type(each) is int for each in layers):
        return False
    return bool(0 <= layers[0] < layers[1])
