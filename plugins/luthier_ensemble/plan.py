"""Which tensors the merged model has, and of which each is made."""

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
from luthier_ensemble.weights import Weights


@dataclass(frozen=True)
class Piece:
    """A tensor of the merged model: the models that it is made of, each with the name that it has there."""

    name: str
    sources: Mapping[str, str]
    depth: float


def everywhere(models: Mapping[str, Weights], layers: int, without: Sequence[str] = ()) -> list[Piece]:
    """Each tensor from all models, where it has the same name; RecipeError where one does not have it.

    `without` are the names that are left out, such as those of weights that are tied in all models.
    """
    names = sorted({name for each in models.values() for name in each.names()} - set(without))
    for name in names:
        if absent := [model for model, weights in models.items() if weights.real(name) is None]:
            raise RecipeError(
                f"{absent[0]} has no {name}, which another model has.",
                where="model.models",
                hint="Only models of one architecture merge.",
            )
    deep = depths(names, layers)
    return [Piece(name, dict.fromkeys(models, name), deep[name]) for name in names]


def stacked(
    models: Mapping[str, Weights], stack: Sequence[tuple[str, int]], without: Sequence[str] = ()
) -> list[Piece]:
    """Each layer from one model; what stands before them from that of the first, after them from that of the last."""
    first, last = stack[0][0], stack[-1][0]
    outside = {name for model in (first, last) for name in models[model].names() if layer_of(name) is None}
    deep = depths(sorted(outside - set(without)), len(stack))
    found = [Piece(name, {last if depth else first: name}, depth) for name, depth in deep.items()]
    for layer, (model, theirs) in enumerate(stack):
        inside = (name for name in models[model].names() if layer_of(name) == theirs)
        found += [Piece(in_layer(name, layer), {model: name}, layer / max(1, len(stack) - 1)) for name in inside]
    return sorted(found, key=lambda piece: piece.name)


def merge(
    file: Path, pieces: Sequence[Piece], models: Mapping[str, Weights], merging: Merging, base: str | None
) -> None:
    """Write the merged tensors, one at a time. RecipeError for tensors of different shapes; dtypes are the first's."""
    shapes = {piece.name: _shape(piece, models) for piece in pieces}
    write(file, shapes, _made(pieces, shapes, models, merging, base))


def _shape(piece: Piece, models: Mapping[str, Weights]) -> tuple[tuple[int, ...], torch.dtype]:
    found = {model: models[model].shape(name) for model, name in piece.sources.items()}
    (first, shape), *others = found.items()
    for model, other in others:
        if other[0] != shape[0]:
            raise RecipeError(
                f"{piece.name} is {list(shape[0])} in {first} and {list(other[0])} in {model}.",
                where="model.models",
                hint="Only models of one architecture and size merge.",
            )
    return shape


def _made(
    pieces: Sequence[Piece],
    shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype]],
    models: Mapping[str, Weights],
    merging: Merging,
    base: str | None,
) -> Iterator[tuple[str, Tensor]]:
    for piece in pieces:
        yield piece.name, _merged(piece, shapes[piece.name][1], models, merging, base)


def _merged(
    piece: Piece, dtype: torch.dtype, models: Mapping[str, Weights], merging: Merging, base: str | None
) -> Tensor:
    read = {model: models[model].tensor(name) for model, name in piece.sources.items()}
    if not dtype.is_floating_point:
        return _same(piece, read)
    computed = torch.float64 if dtype == torch.float64 else torch.float32
    read = {model: tensor.to(computed) for model, tensor in read.items()}
    start = read.pop(base) if base is not None and len(read) > 1 else None
    return merging(piece.name, read, start, piece.depth).to(dtype)


def _same(piece: Piece, read: Mapping[str, Tensor]) -> Tensor:
    """Whole numbers, such as a buffer of positions, which have no mean; RecipeError where models differ in them."""
    first, *others = read.values()
    if any(not torch.equal(first, other) for other in others):
        raise RecipeError(f"The models differ in {piece.name}, which holds no fractions.", where="model.models")
    return first
