"""Tags of words, and the spans that they stand for: BIO and BILOU, and whatever files have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["BIO", "BILOU"]
"""How tags stand for spans: Begin, Inside, Outside; and Last and Unit, where single words and ends have their own."""
OUTSIDE = "O"
_PREFIXES = {"B": "B", "I": "I", "L": "L", "E": "L", "U": "U", "S": "U", "M": "I"}
"""Letters of BIO, IOB2, BILOU, BIOES, BMES as those of BILOU."""
UNNAMED = "entity"


class Span(NamedTuple):
    """Words [start, end) with a label."""

    start: int
    """Its first word."""
    end: int
    """The word behind its last one."""
    label: str
    """What it is, such as ORG."""


def tag_set(labels: Iterable[str], scheme: Scheme) -> list[str]:
    """All tags of these labels, `O` first."""
    letters = "BI" if scheme == "BIO" else "BILU"
    return [OUTSIDE, *(f"{letter}-{label}" for label in labels for letter in letters)]


def labels_of_tags(tags: Iterable[str]) -> list[str]:
    """The labels that tags name, in their order."""
    return list(dict.fromkeys(split_tag(tag)[1] for tag in tags if tag != OUTSIDE))


def tags_of(spans: Iterable[Span], words: int, scheme: Scheme) -> list[str]:
    """The tag of each of so many words; spans do not overlap."""
    tags = [OUTSIDE] * words
    for start, end, label in spans:
        tags[start:end] = [f"I-{label}"] * (end - start)
        tags[start] = f"B-{label}"
        if scheme == "BILOU":
            tags[end - 1] = f"U-{label}" if end - start == 1 else f"L-{label}"
    return tags


def split_tag(tag: str) -> tuple[str, str]:
    """The letter of BILOU and the label of a tag: ("B", "ORG") of `B-ORG`; a tag without a letter is inside."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if tag in _PREFIXES:
        return _PREFIXES[tag], UNNAMED
    for mark in ("-", "_"):
        letter, found, label = tag.partition(mark)
        if found and label and letter in _PREFIXES:
            return _PREFIXES[letter], label
    return "I", tag


def spans_of(tags: Sequence[str]) -> tuple[list[Span], int]:
    """The spans that tags stand for, as conlleval reads them, and how many of these begin with a tag of the inside.

    A tag of the inside goes on with a span of its label, and begins one where there is none.
    """
    spans: list[Span] = []
    irregular, open_label = 0, ""
    for place, tag in enumerate(tags):
        letter, label = split_tag(tag)
        if letter == OUTSIDE:
            open_label = ""
            continue
        if letter in "IL" and label == open_label:
            spans[-1] = spans[-1]._replace(end=place + 1)
        else:
            irregular += letter in "IL" and "-" in tag
            spans.append(Span(place, place + 1, label))
        open_label = "" if letter in "LU" else label
    return spans, irregular
