"""Passthrough: layers of several models are stacked unchanged (frankenmerge)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from luthier.api import RecipeError, check_names
from luthier_ensemble.merging.merging import Merging


@dataclass(kw_only=True)
class Passthrough(Merging):
    """Stack slices of layers unchanged, each `{model: NAME, layers: [first, end]}`, the end not included.

    The weights before the layers come from the model of the first slice, those after them from that of the last.
    """

    slices: list[dict[str, Any]] = field(default_factory=list)

    needs_base = False

    def check(self, models: Sequence[str], base: str | None) -> None:
        if not self.slices:
            raise RecipeError(
                "passthrough has no layers to stack.",
                where="model.merging.slices",
                hint="Set 'model.merging.slices=[{model: NAME, layers: [0, 12]}, …]'.",
            )
        for index, piece in enumerate(self.slices):
            where, layers = f"model.merging.slices[{index}]", piece.get("layers")
            check_names([str(piece.get("model"))], models, kind="model", where=where)
            if set(piece) != {"model", "layers"} or not _is_range(layers):
                raise RecipeError("A slice is {model: NAME, layers: [first, end]}.", where=where)

    def stack(self, layers: Mapping[str, int]) -> list[tuple[str, int]]:
        for index, piece in enumerate(self.slices):
            if piece["layers"][1] > layers[piece["model"]]:
                raise RecipeError(
                    f"{piece['model']} has {layers[piece['model']]} layers.", where=f"model.merging.slices[{index}]"
                )
        return [(piece["model"], layer) for piece in self.slices for layer in range(*piece["layers"])]

    def __call__(self, name: str, tensors: Mapping[str, Tensor], base: Tensor | None, depth: float) -> Tensor:
        (only,) = tensors.values()
        return only


def _is_range(layers: Any) -> bool:
    if not isinstance(layers, list) or len(layers) != 2 or not all(type(index) is int for index in layers):
        return False
    return bool(0 <= layers[0] < layers[1])
