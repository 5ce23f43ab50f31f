"""The formats of pairs of texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Format, RecipeError, further_fields, number_field, text_field

if TYPE_CHECKING:
    from luthier.api import Example


@dataclass(frozen=True)
class Pairs(Format):
    """A column of queries, one of documents that fit them, and perhaps one of documents that do not.

    `query`, `document` and `negatives` are the names of the columns; a cell of negatives holds a text or a list. The
    messages of the example are the query and the document, so that a language model can be trained on them, too.
    """

    query: str = "query"
    document: str = "document"
    negatives: str = "negatives"

    name = "pairs"
    columns = ("query", "document")
    expects = "a column of queries and one of documents (`query` and `document`, unless the format names others)"
    synonyms = {  # noqa: RUF012
        "query": ("anchor", "question", "premise", "title", "search", "sentence1"),
        "document": ("positive", "passage", "answer", "pos", "context", "body", "sentence2"),
        "negatives": ("negative", "neg", "hard_negative", "hard_negatives"),
    }

    @property
    def keys(self) -> tuple[tuple[str, str]]:
        return ((self.query, self.document),)

    def recognises(self, row: dict[str, Any]) -> str:
        fits = isinstance(row.get(self.query), str) and isinstance(row.get(self.document), str)
        return f"`{self.query}` and `{self.document}` hold texts" if fits else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        used = (self.query, self.document, self.negatives)
        example = _pair(row, self.query, self.document, used, counts)
        if self.negatives not in row and self.negatives != Pairs.negatives:  # one that was named is meant to be there
            raise DataError(f"There is no column `{self.negatives}`.", hint="Name another with data.format.negatives.")
        if row.get(self.negatives):
            example["negatives"] = _texts(row[self.negatives], self.negatives)
        return example


@dataclass(frozen=True)
class GradedPairs(Format):
    """Two columns of texts, and one that says how alike they are, or how well the second fits the first.

    `query`, `document` and `score` are the names of the columns. `lowest` and `highest` are the ends of the scale,
    which become 0 and 1.
    """

    query: str = "sentence1"
    document: str = "sentence2"
    score: str = "score"
    lowest: float = 0.0
    highest: float = 1.0

    name = "graded_pairs"
    columns = ("query", "document", "score")
    expects = (
        "two columns of texts and one of numbers (`sentence1`, `sentence2` and `score`, unless the format names others)"
    )
    synonyms = {  # noqa: RUF012
        "sentence1": ("sentence_1", "text1", "text_a", "sentence_a"),
        "sentence2": ("sentence_2", "text2", "text_b", "sentence_b"),
        "score": ("similarity", "similarity_score", "relatedness", "relevance", "label"),
    }

    def __post_init__(self) -> None:
        if not self.lowest < self.highest:
            raise RecipeError(
                f"The scale of scores is from {self.lowest:g} to {self.highest:g}.", where="data.format.highest"
            )

    @property
    def keys(self) -> tuple[tuple[str, str, str]]:
        return ((self.query, self.document, self.score),)

    def recognises(self, row: dict[str, Any]) -> str:
        texts = isinstance(row.get(self.query), str) and isinstance(row.get(self.document), str)
        graded = isinstance(row.get(self.score), int | float)
        return f"`{self.score}` grades `{self.query}` and `{self.document}`" if texts and graded else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        example = _pair(row, self.query, self.document, (self.query, self.document, self.score), counts)
        given = number_field(row, self.score)
        if not self.lowest <= given <= self.highest:
            raise DataError(
                f"`{self.score}` is {given:g}, and the scale is from {self.lowest:g} to {self.highest:g}.",
                hint="Say its ends: data.format.lowest=… data.format.highest=…",
            )
        return {**example, "score": (given - self.lowest) / (self.highest - self.lowest)}


def _pair(row: dict[str, Any], query: str, document: str, used: tuple[str, ...], counts: Counter[str]) -> Example:
    example = further_fields(row, used, counts)
    texts = text_field(row, query), text_field(row, document)
    roles = ("user", "assistant")
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    return {**example, "messages": messages, "query": texts[0], "document": texts[1]}


def _texts(given: Any, column: str) -> list[str]:
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list | tuple) or not all(isinstance(one, str) and one.strip() for one in found):
        raise DataError(f"`{column}` is {given!r}, where a text or a list of texts is expected.")
    return list(found)
