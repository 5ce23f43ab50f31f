"""Writes a safetensors file one tensor at a time, so that it may be larger than memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from luthier_ensemble.weights import DTYPES, Layout

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write(file: Path, layouts: Mapping[str, Layout], tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write the named tensors, which must come in the order of `layouts`; the header is written first.

    The format: the header's length as 8 bytes, little-endian; a JSON header with dtype, shape and offsets; the values.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, (shape, dtype) in layouts.items():
        end = begin + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    remaining = iter(tensors)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name, layout in layouts.items():
            _append(out, remaining, name, layout)
    assert next(remaining, None) is None, "more tensors than layouts"


def _append(out: BinaryIO, tensors: Iterator[tuple[str, Tensor]], expected: str, layout: Layout) -> None:
    """Write the next tensor, which is freed on return, before the one after it is computed."""
    name, tensor = next(tensors)
    assert (name, (tuple(tensor.shape), tensor.dtype)) == (expected, layout), name
    tensor.contiguous().flatten().view(torch.uint8).numpy().tofile(out)
