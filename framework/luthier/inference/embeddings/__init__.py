"""Texts as vectors, so that those which mean the same lie close together. One way a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32 [texts, width]."""


class Embedding(Protocol):
    """Turns texts into vectors whose product says how alike the texts are."""

    def __call__(self, texts: Sequence[str], *, asked: bool = False) -> Vectors:
        """[texts, width], each of length 1, or 0 for a text without a known word; `asked` says that they are questions.

        Threads may share it.
        """

    def identity(self) -> str:
        """Changes with all that the vectors depend on."""


def of_length_one(vectors: Vectors) -> Vectors:
    """Each vector divided by its length; 0 stays 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return found
