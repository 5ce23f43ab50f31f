"""The tensors of a model's files, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from luthier.api import weight_files


@dataclass(frozen=True)
class Weights:
    """Reads from a folder of safetensors; `aliases` are names that stand for others, as tied weights do.

    A file is open only while a tensor is read, so that no more than what is asked for stays in memory.
    """

    name: str
    folder: Path
    aliases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, Path]:
        """The file of each stored tensor."""
        found: dict[str, Path] = {}
        for file in weight_files(self.folder, owner=self.name):
            with safe_open(file, framework="pt") as stored:
                found |= dict.fromkeys(stored.keys(), file)
        return found

    def names(self) -> Iterable[str]:
        return self.places

    def real(self, name: str) -> str | None:
        """The name under which a tensor is stored; None where it is not there."""
        if name in self.places:
            return name
        alias = self.aliases.get(name)
        return alias if alias in self.places else None

    def shape(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        """Shape and dtype, without reading the numbers."""
        stored = self.real(name)
        assert stored is not None, name
        with safe_open(self.places[stored], framework="pt") as file:
            part = file.get_slice(stored)
            return tuple(part.get_shape()), DTYPES[part.get_dtype()]

    def tensor(self, name: str) -> Tensor:
        """A copy of its own in memory."""
        stored = self.real(name)
        assert stored is not None, name
        with safe_open(self.places[stored], framework="pt") as file:
            read: Tensor = file.get_tensor(stored)
        return read.clone()


DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""Dtypes by the names that safetensors gives them."""
