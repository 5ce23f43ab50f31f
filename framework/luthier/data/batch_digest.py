"""The digest of the batches of an optimizer step: which examples they are of, and every number in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch

from luthier.contracts.batch import Batch

BYTES = 8


class BatchDigest:
    """Gathers micro-batches until `taken`; costs one hash of their bytes, on the host."""

    def __init__(self) -> None:
        self._examples, self._tensors = _new(), _new()

    def add(self, batch: Batch) -> None:
        self._examples.update(repr((batch.examples, batch.turns)).encode())
        for name, value in _values(batch):
            self._tensors.update(name.encode())
            self._tensors.update(value if isinstance(value, bytes) else _bytes(value))

    def taken(self) -> dict[str, str]:
        """`examples`: which ones in which order; `batches`: all that the network is given, rollouts included."""
        found = {"examples": self._examples.hexdigest(), "batches": self._tensors.hexdigest()}
        self._examples, self._tensors = _new(), _new()
        return found


def _new() -> Any:
    return hashlib.blake2b(digest_size=BYTES)


def _values(batch: Batch) -> Iterator[tuple[str, Any]]:
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, torch.Tensor):
            yield field.name, value
        elif isinstance(value, dict):
            for name, one in sorted(value.items(), key=repr):
                yield f"{field.name}.{name}", one if isinstance(one, torch.Tensor) else repr(one).encode()
        else:
            yield field.name, repr(value).encode()


def _bytes(tensor: torch.Tensor) -> Any:
    whole = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)  # one that is expanded, too
    return whole.reshape(-1).view(torch.uint8).numpy()
