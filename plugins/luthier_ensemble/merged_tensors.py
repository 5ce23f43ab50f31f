"""Which tensors of which models make each tensor of a merged model, and writing them one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_ensemble.layers import depths, in_layer, layer_of
from luthier_ensemble.merging.merging import Merging
from luthier_ensemble.safetensors_writer import write
from luthier_ensemble.weights import Layout, StoredTensors


@dataclass(frozen=True)
class MergedTensor:
    """A tensor of the merged model: the models that it is made of, each with the tensor's name there, and its depth."""

    name: str
    sources: Mapping[str, str]
    depth: float


def tensors_of_all(models: Mapping[str, StoredTensors], layers: int, without: Sequence[str] = ()) -> list[MergedTensor]:
    """Each tensor from all models, where it has the same name; RecipeError where one does not have it.

    `without` are the names that are left out, such as those of weights that are tied in all models.
    """
    names = sorted({name for tensors in models.values() for name in tensors.names()} - set(without))
    for name in names:
        if absent := [model for model, tensors in models.items() if tensors.stored_name(name) is None]:
            raise RecipeError(
                f"{absent[0]} has no {name}, which another model has.",
                where="model.models",
                hint="Only models of one architecture merge.",
            )
    depth_of = depths(names, layers)
    return [MergedTensor(name, dict.fromkeys(models, name), depth_of[name]) for name in names]


def tensors_of_stack(
    models: Mapping[str, StoredTensors], stack: Sequence[tuple[str, int]], without: Sequence[str] = ()
) -> list[MergedTensor]:
    """Each layer from one model; the tensors before the layers from the first's model, those after from the last's."""
    first, last = stack[0][0], stack[-1][0]
    outside = {name for model in (first, last) for name in models[model].names() if layer_of(name) is None}
    depth_of = depths(sorted(outside - set(without)), len(stack))
    tensors = [MergedTensor(name, {last if depth else first: name}, depth) for name, depth in depth_of.items()]
    for layer, (model, source_layer) in enumerate(stack):
        depth = layer / max(1, len(stack) - 1)
        inside = (name for name in models[model].names() if layer_of(name) == source_layer)
        tensors += [MergedTensor(in_layer(name, layer), {model: name}, depth) for name in inside]
    return sorted(tensors, key=lambda tensor: tensor.name)


def write_merged(
    file: Path,
    tensors: Sequence[MergedTensor],
    models: Mapping[str, StoredTensors],
    merging: Merging,
    base: str | None,
) -> None:
    """Write the merged tensors, one at a time. RecipeError for tensors of different shapes; dtypes are the first's."""
    layouts = {tensor.name: _layout(tensor, models) for tensor in tensors}

    def merged() -> Iterator[tuple[str, Tensor]]:
        for tensor in tensors:
            yield tensor.name, _merged(tensor, layouts[tensor.name][1], models, merging, base)

    write(file, layouts, merged())


def _layout(tensor: MergedTensor, models: Mapping[str, StoredTensors]) -> Layout:
    (first, layout), *others = ((model, models[model].layout(name)) for model, name in tensor.sources.items())
    for model, other in others:
        if other[0] != layout[0]:
            raise RecipeError(
                f"{tensor.name} is {list(layout[0])} in {first} and {list(other[0])} in {model}.",
                where="model.models",
                hint="Only models of one architecture and size merge.",
            )
    return layout


def _merged(
    tensor: MergedTensor,
    dtype: torch.dtype,
    models: Mapping[str, StoredTensors],
    merging: Merging,
    base: str | None,
) -> Tensor:
    """The merged values, computed in float32 (float64 stays so) and cast to `dtype`."""
    values = {model: models[model].tensor(name) for model, name in tensor.sources.items()}
    if not dtype.is_floating_point:
        return _equal_values(tensor, values)
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    values = {model: value.to(computed) for model, value in values.items()}
    base_values = values.pop(base) if base is not None and len(values) > 1 else None
    return merging(tensor.name, values, base_values, tensor.depth).to(dtype)


def _equal_values(tensor: MergedTensor, values: Mapping[str, Tensor]) -> Tensor:
    """Integers, such as a buffer of positions, which have no mean; RecipeError where models differ in them."""
    first, *others = values.values()
    if any(not torch.equal(first, other) for other in others):
        raise RecipeError(f"The models differ in {tensor.name}, which holds integers.", where="model.models")
    return first
