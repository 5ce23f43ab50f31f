"""Verifiable instructions by name: `check(answer, value)` is whether an answer follows the instruction.

The kinds are those of IFEval (Zhou et al., 2023) that need no model and no language identification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from luthier_reward.rewards.reading import is_json

_SENTENCE = re.compile(r"[.!?]+(?:\s|$)")
_BULLET = re.compile(r"^\s*[-*•]\s+\S", re.MULTILINE)
_TITLE = re.compile(r"<<[^\n<>]+>>")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_HIGHLIGHT = re.compile(r"\*[^\s*][^*\n]*\*")


def _words(answer: str) -> int:
    return len(answer.split())


def _paragraphs(answer: str) -> list[str]:
    return [text for text in re.split(r"\n\s*\n", answer.strip()) if text.strip()]


def _lines(answer: str) -> list[str]:
    return [line for line in answer.splitlines() if line.strip()]


def _contains(answer: str, text: str) -> bool:
    return text.lower() in answer.lower()


def _quoted(answer: str) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


CHECKS: Mapping[str, Callable[[str, Any], bool]] = MappingProxyType(
    {
        "fewest_words": lambda answer, count: _words(answer) >= count,
        "most_words": lambda answer, count: _words(answer) <= count,
        "fewest_sentences": lambda answer, count: len(_SENTENCE.findall(answer)) >= count,
        "most_sentences": lambda answer, count: len(_SENTENCE.findall(answer)) <= count,
        "paragraphs": lambda answer, count: len(_paragraphs(answer)) == count,
        "lines": lambda answer, count: len(_lines(answer)) == count,
        "bullets": lambda answer, count: len(_BULLET.findall(answer)) == count,
        "contains": lambda answer, texts: all(_contains(answer, text) for text in _texts(texts)),
        "excludes": lambda answer, texts: not any(_contains(answer, text) for text in _texts(texts)),
        "begins_with": lambda answer, text: answer.strip().lower().startswith(str(text).lower()),
        "ends_with": lambda answer, text: answer.strip().lower().endswith(str(text).lower()),
        "no_commas": lambda answer, required: ("," not in answer) == required,
        "lower_case": lambda answer, required: (answer == answer.lower()) == required,
        "upper_case": lambda answer, required: (answer == answer.upper()) == required,
        "json": lambda answer, required: is_json(answer) == required,
        "quoted": lambda answer, required: _quoted(answer) == required,
        "title": lambda answer, required: bool(_TITLE.search(answer)) == required,
        "placeholders": lambda answer, count: len(_PLACEHOLDER.findall(answer)) >= count,
        "highlights": lambda answer, count: len(_HIGHLIGHT.findall(answer)) >= count,
    }
)
"""The value of a check is a count, a text or a list of texts, or true or false."""
