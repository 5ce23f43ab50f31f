"""The spans that an answer names, and their places in the question."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from nervaluate.entities import Entity

_FENCE = re.compile(r"^```\w*\n(.*?)\n?```$", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_SPAN_KEYS, _TYPE_KEYS = ("text", "span", "value", "entity"), ("type", "label", "tag")
UNTYPED = "span"


def spans(answer: str) -> list[tuple[str, str]]:
    """(type, text) of every span an answer names; the type is `span` where the answer gives none.

    JSON is read as a list of texts, a list of objects with `type` and `text`, or an object from types to texts;
    anything else line by line, `type: text` or `text` alone, bullets aside.
    """
    plain = answer.strip()
    fenced = _FENCE.match(plain)
    try:
        named = list(_of_json(json.loads(fenced[1] if fenced else plain), UNTYPED))
    except (ValueError, RecursionError):
        named = list(_of_lines(plain))
    return [(kind, text.strip()) for kind, text in named if text.strip()]


def _of_json(node: Any, kind: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for item in node:
            yield from _of_json(item, kind)
    elif isinstance(node, dict):
        text = next((node[key] for key in _SPAN_KEYS if isinstance(node.get(key), str)), None)
        if text is None:
            for key, value in node.items():
                yield from _of_json(value, str(key))
        else:
            yield next((str(node[key]) for key in _TYPE_KEYS if key in node), kind), text
    elif node is not None:
        yield kind, str(node)


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        kind, colon, rest = _BULLET.sub("", line).partition(": ")
        yield (kind.strip(), rest) if colon else (UNTYPED, kind)


def located(named: list[tuple[str, str]], question: str, elsewhere: dict[str, int]) -> list[Entity]:
    """The spans with their places in the question, repeated ones at successive occurrences.

    A text that does not stand there is given a place of its own behind the question's end, kept in `elsewhere`: two
    answers that name the same such text still match.
    """
    lowered, used, entities = question.lower(), dict[str, int](), []
    for kind, text in named:
        key = text.lower()
        start = lowered.find(key, used.get(key, 0))
        if start < 0:
            start = elsewhere.setdefault(f"{used.get(key, 0)} {key}", len(question) + 1 + sum(map(len, elsewhere)))
        used[key] = start + len(key)
        entities.append(Entity(kind.lower(), start, start + len(key) - 1))
    return entities
