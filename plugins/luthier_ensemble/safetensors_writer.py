"""A safetensors file written one tensor at a time, so that it may be larger than memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from luthier_ensemble.weights import DTYPES

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write(
    file: Path, shapes: Mapping[str, tuple[tuple[int, ...], torch.dtype]], made: Iterable[tuple[str, Tensor]]
) -> None:
    """Write the tensors in the order of `shapes`, in which `made` must give them; the header comes first.

    The format: the header's length as 8 bytes, little-endian, a JSON header with dtype, shape and offsets, the numbers.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, (shape, dtype) in shapes.items():
        end = begin + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for (name, tensor), (wanted, (shape, dtype)) in zip(made, shapes.items(), strict=True):
            assert (name, tuple(tensor.shape), tensor.dtype) == (wanted, shape, dtype), name
            tensor.contiguous().flatten().view(torch.uint8).numpy().tofile(out)
            del tensor  # while the next one is made
