"""Nearest neighbours of the question by embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from luthier.api import Demonstration, Embedding, Selection


class Alike(Selection):
    """Show the examples whose embeddings have the largest inner product with the question's (Liu et al., 2022).

    The nearest example stands last.
    """

    fixed = False
    best_last = True

    def __init__(self, *, embedding: Embedding) -> None:
        self.embedding = embedding

    def learn(self, pool: Sequence[Demonstration]) -> None:
        self.vectors = self.embedding([demonstration.text for demonstration in pool])

    def __call__(self, text: str) -> Iterable[int]:
        products = self.vectors @ self.embedding([text], is_query=True)[0]
        yield from np.argsort(-products, kind="stable").tolist()
