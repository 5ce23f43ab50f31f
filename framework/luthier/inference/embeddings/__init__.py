"""Text embeddings, one kind a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""float32 [texts, width]."""


class Embedding(Protocol):
    """Maps texts to vectors whose inner product is their similarity."""

    def __call__(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        """Embeddings float32 [texts, width] of norm 1, or 0 for a text without a known word; safe for threads.

        `is_query`: the texts are queries, which some models embed with another instruction than passages.
        """

    def identity(self) -> str:
        """A string that changes with everything the vectors depend on."""


def of_length_one(vectors: Vectors) -> Vectors:
    """Each vector divided by its length; 0 stays 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return found
