"""How well was it looked up, and how well is the answer founded on it? One metric a file."""

from __future__ import annotations

from typing import Any

from luthier.api import Attempt, DataError, RecipeError


def found(attempt: Attempt) -> list[str]:
    """The names of the documents that were found for it, the best one first."""
    return list(_column(attempt, "found"))


def shown(attempt: Attempt) -> list[dict[str, str]]:
    """The passages that the model saw, in order: `document`, `heading` and `text`."""
    return list(_column(attempt, "passages"))


def relevant(attempt: Attempt) -> set[str]:
    """The names of the documents that hold its answer; none where no document does."""
    if "relevant" not in attempt.example:
        raise DataError(
            "The example does not say which documents are relevant.",
            where=str(attempt.example.get("where", "")),
            hint='Give the data a column `relevant`, a list of names of documents: "relevant": ["prices.md"].',
        )
    return set(attempt.example["relevant"] or ())


def _column(attempt: Attempt, name: str) -> Any:
    if name not in attempt.example:
        raise RecipeError("This metric looks at what was found in documents.", hint="Use prompt=retrieval.")
    return attempt.example[name]
