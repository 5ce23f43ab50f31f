"""Texts with ratings, which are binned into classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from luthier.data.formats.classification import labelled
from luthier.data.formats.fields import further_fields, number_field, text_field
from luthier.data.formats.format import Format
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Rated(Format):
    """A column of texts and a column of ratings, which are binned into named intervals; these are the labels.

    `text` and `rating` are the names of the columns. `intervals` maps each label to [low, high], which contains the
    ratings low ≤ rating < high; null is no bound. Ratings outside all intervals are left out and counted as
    `between_intervals`. `instruction` is the user turn, as in classification. The rating is kept as a column.
    """

    text: str = "text"
    rating: str = "rating"
    intervals: dict[str, list[float | None]] | None = None
    instruction: str = "Classify the text. Answer with its class and nothing else."

    name = "rated"
    columns = ("text", "rating")
    expects = "a column of texts and a column of numbers (`text` and `rating`, unless the format names others)"
    synonyms = {"text": ("review", "sentence", "content"), "rating": ("score", "stars", "grade")}  # noqa: RUF012

    @property
    def keys(self) -> tuple[tuple[str, str]]:
        return ((self.text, self.rating),)

    def __post_init__(self) -> None:
        bounds = sorted(
            (float("-inf") if low is None else low, float("inf") if high is None else high, label)
            for label, (low, high) in self._pairs()
        )
        empty = next((label for low, high, label in bounds if low >= high), None)
        if empty is not None:
            raise RecipeError(f"The interval {empty!r} contains no number.", hint="Write it as [low, high].")
        for (_, high, one), (low, _, other) in pairwise(bounds):
            if low < high:
                raise RecipeError(f"The intervals {one!r} and {other!r} overlap.")

    def _pairs(self) -> list[tuple[str, list[float | None]]]:
        pairs = list((self.intervals or {}).items())
        for label, pair in pairs:
            if len(pair) != 2:
                raise RecipeError(f"The interval {label!r} is {pair}, where [low, high] is expected.")
        return pairs

    def settle(self, rows: Sequence[dict[str, Any]]) -> Rated:
        if len(self._pairs()) < 2:
            raise RecipeError(
                "The format rated needs two intervals or more.",
                hint="For example 'data.format.intervals={low: [null, 3], high: [3, null]}'.",
            )
        return self

    def recognises(self, row: dict[str, Any]) -> str:
        fits = isinstance(row.get(self.text), str) and isinstance(row.get(self.rating), float)
        return f"`{self.text}` holds text and `{self.rating}` a number" if fits and self.intervals else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        text, rating = text_field(row, self.text), number_field(row, self.rating)
        example = further_fields(row, (self.text,), counts)
        for label, (low, high) in self._pairs():
            if (low is None or low <= rating) and (high is None or rating < high):
                return labelled({**example, self.rating: rating}, self.instruction, text, label)
        counts["between_intervals"] += 1
        return None
