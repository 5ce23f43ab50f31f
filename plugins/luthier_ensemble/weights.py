"""Reads the tensors of a model's safetensors files one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from luthier.api import weight_files

Layout = tuple[tuple[int, ...], torch.dtype]
"""The shape and the dtype of a tensor."""


@dataclass(frozen=True)
class StoredTensors:
    """The tensors in a folder of safetensors files; `aliases` map the names of tied weights to the stored ones.

    A file is open only while a tensor is read, so that memory holds no more than the tensors in use.
    """

    name: str
    folder: Path
    aliases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each stored tensor."""
        by_name: dict[str, Path] = {}
        for file in weight_files(self.folder, owner=self.name):
            with safe_open(file, framework="pt") as stored:
                by_name |= dict.fromkeys(stored.keys(), file)
        return by_name

    def names(self) -> Iterable[str]:
        return self.files

    def stored_name(self, name: str) -> str | None:
        """The name under which a tensor is stored; None where it is not."""
        if name in self.files:
            return name
        alias = self.aliases.get(name)
        return alias if alias in self.files else None

    def layout(self, name: str) -> Layout:
        """Shape and dtype, without reading the values."""
        stored = self.stored_name(name)
        assert stored is not None, name
        with safe_open(self.files[stored], framework="pt") as file:
            part = file.get_slice(stored)
            return tuple(part.get_shape()), DTYPES[part.get_dtype()]

    def tensor(self, name: str) -> Tensor:
        """A copy of the tensor in memory."""
        stored = self.stored_name(name)
        assert stored is not None, name
        with safe_open(self.files[stored], framework="pt") as file:
            tensor: Tensor = file.get_tensor(stored)
        return tensor.clone()


DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""Dtypes by the names that safetensors gives them."""
