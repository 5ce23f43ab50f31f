"""Two checkpoints compared bit for bit: weights, optimizer, random generators, state of parts, place in the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from luthier.training.checkpoint_io import OF_RUN, STATE, TENSORS

SECTIONS = {
    "state_dict": "weights",
    "optimizer_states": "optimizer",
    "lr_schedulers": "optimizer",
    "luthier_optimized": "optimizer",
    "callbacks.RandomState": "random generators",
    "callbacks.PartStates": "state of parts",
    "callbacks.Validation": "validations",
    "callbacks": "state of callbacks",
    "loops.fit_loop.state_dict": "place in the data",
    "global_step": "step",
}
"""What a checkpoint holds, by the beginning of its place in it; of two, the longer beginning counts."""
OF_CLOCK = "callbacks.Validation.seconds"
"""What no two runs have the same of."""


@dataclass(slots=True)
class Compared:
    """How many values of a section were compared, and the places of those that differ."""

    values: int = 0
    differ: list[str] = field(default_factory=list)


def compare(one: Path, other: Path) -> dict[str, Compared]:
    """What two checkpoints say in each section; what only counts Lightning's loops or names the run is left out."""
    found = {name: Compared() for name in SECTIONS.values()}
    with ExitStack() as files:
        first, second = (_Checkpoint(path, files) for path in (one, other))
        for place in dict.fromkeys([*first.leaves, *second.leaves]):
            name = section(place)
            if name is None:
                continue
            found[name].values += 1
            if not _same(first, second, place):
                found[name].differ.append(place)
    return {name: compared for name, compared in found.items() if compared.values}


def section(place: str) -> str | None:
    """The section of a place in a checkpoint; None for what is not compared."""
    if place == OF_CLOCK or place.startswith(OF_RUN):
        return None
    known = [start for start in SECTIONS if place == start or place.startswith(f"{start}.")]
    return SECTIONS[max(known, key=len)] if known else None


class _Checkpoint:
    def __init__(self, path: Path, files: ExitStack) -> None:
        self.leaves: Mapping[str, Any] = dict(_leaves(json.loads((path / STATE).read_text(encoding="utf-8"))))
        self.tensors = files.enter_context(safe_open(path / TENSORS, framework="pt"))


def _leaves(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its place; a tensor is a value whose name in the file begins with `!`."""
    if isinstance(node, dict) and set(node) & {"!tensor", "!array", "!scalar"}:
        yield place, ("tensor", *node.values())
    elif isinstance(node, dict | list) and node:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, f"{place}.{key}".lstrip("."))
    else:
        yield place, node


def _same(first: _Checkpoint, second: _Checkpoint, place: str) -> bool:
    if place not in first.leaves or place not in second.leaves:
        return False
    one, other = first.leaves[place], second.leaves[place]
    if not (_is_tensor(one) and _is_tensor(other)):
        return type(one) is type(other) and one == other
    return same_bits(first.tensors.get_tensor(one[1]), second.tensors.get_tensor(other[1]))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, tuple)


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same bytes: NaN is NaN, and 0 is not -0."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (one, other)))
