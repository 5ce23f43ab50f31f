"""Words and a tag for each, as CoNLL files and data sets of a hub have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.fields import further_fields, kind
from luthier.data.formats.format import Format
from luthier.data.formats.spans import INSTRUCTION, with_entities
from luthier.data.tagging.tags import OUTSIDE, Span, spans_of
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

IRREGULAR = "entity_that_begins_with_a_tag_of_the_inside"
TOKENS, TAGS = ("tokens", "words"), ("tags", "ner_tags", "labels")


@dataclass(frozen=True)
class TaggedTokens(Format):
    """A list of words and a list of their tags: BIO, IOB2, BILOU, BIOES, or a label alone.

    `tokens` and `tags` are the names of the columns; null takes the first of `tokens` and `words`, and of `tags`,
    `ner_tags` and `labels`. `names` are the names of integer tags, in order from 0. The text is the words with a blank
    between them. A tag of the inside that goes on with nothing begins an entity, which is counted.
    """

    tokens: str | None = None
    tags: str | None = None
    names: list[str] | None = None
    instruction: str = INSTRUCTION

    name = "tagged_tokens"
    columns = ("tokens", "tags")
    expects = "a list of words and a list of as many tags (`tokens` and `tags`, unless the format names others)"

    def recognises(self, row: dict[str, Any]) -> str:
        tokens, tags = self._columns(row)
        words, given = row.get(tokens), row.get(tags)
        if not isinstance(words, list) or not isinstance(given, list) or len(words) != len(given) or not words:
            return ""
        fits = all(isinstance(word, str) for word in words) and all(isinstance(tag, (str, int)) for tag in given)
        return f"`{tokens}` holds words and `{tags}` as many tags" if fits else ""

    def _columns(self, row: dict[str, Any]) -> tuple[str, str]:
        tokens = self.tokens or next((name for name in TOKENS if name in row), TOKENS[0])
        return tokens, self.tags or next((name for name in TAGS if name in row), TAGS[0])

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        columns = self._columns(row)
        words, tags = (_listed(row, column) for column in columns)
        if len(words) != len(tags):
            raise DataError(f"`{columns[0]}` has {len(words)} words, and `{columns[1]}` has {len(tags)} tags.")
        if odd := [word for word in words if not isinstance(word, str) or not word.strip()]:
            raise DataError(f"A word of `{columns[0]}` is {kind(odd[0])}.")
        spans, irregular = spans_of([self._named(tag, columns[1]) for tag in tags])
        counts[IRREGULAR] += irregular
        text, places = _joined([" ".join(word.split()) for word in words])
        example = with_entities(further_fields(row, columns, counts), self.instruction, text, _entities(spans, places))
        return {**example, "words": places}

    def _named(self, tag: Any, column: str) -> str:
        if isinstance(tag, int) and not isinstance(tag, bool):
            if self.names is None:
                raise DataError(
                    f"`{column}` holds numbers, and what they stand for is not known.",
                    hint="Name them: data/format=tagged_tokens 'data.format.names=[O,B-PER,I-PER]'.",
                )
            if not 0 <= tag < len(self.names):
                raise DataError(f"`{column}` holds {tag}, where names are given for 0 to {len(self.names) - 1}.")
            return self.names[tag]
        if not isinstance(tag, str):
            raise DataError(f"A tag of `{column}` is {kind(tag)}.")
        return tag.strip() if tag.strip() not in ("", "_", "-") else OUTSIDE


def _listed(row: dict[str, Any], column: str) -> list[Any]:
    given = row.get(column)
    if not isinstance(given, list) or not given:
        found = f"{kind(given)}, where a list is expected" if column in row else "missing"
        raise DataError(f"`{column}` is {found}.")
    return given


def _joined(words: Sequence[str]) -> tuple[str, list[list[int]]]:
    """The words with a blank between them, and where each begins and ends."""
    places, at = [], 0
    for word in words:
        places.append([at, at + len(word)])
        at += len(word) + 1
    return " ".join(words), places


def _entities(spans: Sequence[Span], places: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    return [{"start": places[first][0], "end": places[last - 1][1], "label": label} for first, last, label in spans]
