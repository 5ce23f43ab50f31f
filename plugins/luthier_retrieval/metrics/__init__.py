"""Metrics of retrieval and of grounded answers, one class a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luthier.api import Attempt, DataError, Floats, RecipeError, ratio
from luthier_retrieval.relevant import COLUMN, relevant_names


class RatioMetric(ABC):
    """A metric that is one sum over examples divided by another: a mean, or a micro-average.

    A subclass gives the two terms of one example; an example with the denominator 0 does not count.
    """

    better = "higher"

    @abstractmethod
    def terms(self, attempt: Attempt) -> tuple[float, float]:
        """The example's terms of the numerator and of the denominator."""

    def statistics(self, attempts: Sequence[Attempt]) -> Floats:
        return np.array([self.terms(attempt) for attempt in attempts], dtype=np.float64)

    def reduce(self, totals: Floats) -> Floats:
        return ratio(totals)


def retrieved_documents(attempt: Attempt) -> list[str]:
    """The names of the documents that were retrieved, the best first."""
    return list(_column(attempt, "found"))


def shown_passages(attempt: Attempt) -> list[dict[str, Any]]:
    """The passages in the prompt, in order: `document`, `heading`, `text`, and `also`, other documents that hold it."""
    return list(_column(attempt, "passages"))


def is_of(passage: Mapping[str, Any], names: set[str]) -> bool:
    """Whether one of the documents holds the passage."""
    return not names.isdisjoint([passage["document"], *passage.get("also", ())])


def relevant_documents(attempt: Attempt) -> set[str]:
    """The names of the documents that answer the question; empty where no document does."""
    if COLUMN not in attempt.example:
        raise DataError(
            "The example does not say which documents are relevant.",
            where=str(attempt.example.get("where", "")),
            hint='Give the data a column `relevant`, a list of names of documents: "relevant": ["prices.md"].',
        )
    return set(relevant_names(attempt.example))


def _column(attempt: Attempt, name: str) -> Any:
    if name not in attempt.example:
        raise RecipeError("This metric needs retrieved documents.", hint="Use prompt=retrieval.")
    return attempt.example[name]
