"""Entities of an example: checked spans of characters, and the words that they cover."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any

from luthier.contracts.examples import Example
from luthier.data.tagging.tags import Span
from luthier.data.tagging.words import Word, example_words
from luthier.errors import DataError

WIDENED = "entity_widened_to_whole_words"
REPEATED = "entity_given_twice"
BLANKS = "entity_without_its_outer_blanks"
SKIP = "Leave such rows out with data.on_bad_row=skip, or mend the data."

EntitySpan = dict[str, Any]
"""`start`, `end` and `label` of a span of characters, as an example has it."""


def checked_entities(text: str, given: Sequence[EntitySpan], counts: Counter[str]) -> list[EntitySpan]:
    """Spans in the order of the text, without blanks at their ends, each once; all of this is counted.

    DataError for a span outside of the text, without a character of it, or across another one.
    """
    found: list[EntitySpan] = []
    for entity in sorted(given, key=lambda one: (one["start"], one["end"])):
        start, end, label = entity["start"], entity["end"], entity["label"]
        if not 0 <= start <= end <= len(text):
            raise DataError(
                f"The entity {label!r} reaches from character {start} to {end}, and the text has {len(text)}.",
                hint="Ends are exclusive, and count characters, not bytes. " + SKIP,
            )
        inner = text[start:end]
        if not inner.strip():
            raise DataError(f"The entity {label!r} at character {start} to {end} is {inner!r}: no word.", hint=SKIP)
        stripped = (start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip()))
        counts[BLANKS] += stripped != (start, end)
        start, end = stripped
        if found and start < found[-1]["end"]:
            last = found[-1]
            if (start, end, label) == (last["start"], last["end"], last["label"]):
                counts[REPEATED] += 1
                continue
            raise DataError(
                f"The entities {_shown(text, last)} and {_shown(text, {'start': start, 'end': end, 'label': label})} "
                "overlap, and a word has one tag.",
                hint=SKIP,
            )
        found.append({"start": start, "end": end, "label": label})
    words = example_words({"text": text})
    counts[WIDENED] += sum(_is_cut(words, entity) for entity in found)
    return found


def word_spans(example: Example, words: Sequence[Word] | None = None) -> list[Span]:
    """The entities of an example as spans of its words.

    Where the data gives no `words`, a span that ends inside a word has all of it. DataError where the data's own words
    are cut, and where two entities have the same word.
    """
    if words is None:
        words = example_words(example)
    text, entities = str(example["text"]), example.get("entities")
    if not isinstance(entities, Sequence) or isinstance(entities, str):
        raise DataError(
            f"The column `entities` is {'missing' if entities is None else repr(entities)}.",
            hint="Choose a format with entities: data/format=spans, tagged_tokens or label_studio.",
        )
    if odd := [one for one in entities if not isinstance(one, dict) or not {"start", "end", "label"} <= one.keys()]:
        raise DataError(f"An entity is {str(odd[0])[:60]}, and no span.", hint="Read such rows with data/format=spans.")
    starts, ends = [begin for begin, _ in words], [end for _, end in words]
    spans: list[Span] = []
    for entity in entities:
        first, last = bisect_right(ends, entity["start"]), bisect_left(starts, entity["end"])
        if first >= last:
            raise DataError(f"The entity {_shown(text, entity)} holds no word.", hint=SKIP)
        if "words" in example and (starts[first], ends[last - 1]) != (entity["start"], entity["end"]):
            cut = text[slice(*words[first])]
            raise DataError(f"The entity {_shown(text, entity)} cuts the word {cut!r}.", hint=SKIP)
        if spans and first < spans[-1].end:
            raise DataError(
                f"Two entities have parts of the word {text[slice(*words[first])]!r}, and a word has one tag.",
                hint=SKIP,
            )
        spans.append(Span(first, last, str(entity["label"])))
    return spans


def _is_cut(words: Sequence[Word], entity: EntitySpan) -> bool:
    borders = (entity["start"], entity["end"])
    around = [words[bisect_right(words, border, key=lambda one: one[0]) - 1] for border in borders]
    return any(begin < border < end for border, (begin, end) in zip(borders, around, strict=True))


def _shown(text: str, entity: EntitySpan) -> str:
    return f"{text[entity['start'] : entity['end']]!r} ({entity['label']})"
