"""Instructions that a rule can check, by name: `check(answer, value)` says whether an answer keeps to one.

The kinds are those of IFEval (Zhou et al., 2023), as far as they need no model and no list of languages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from luthier_reward.rewards.reading import fenced

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


def _says(answer: str, text: str) -> bool:
    return text.lower() in answer.lower()


def _is_json(answer: str) -> bool:
    try:
        json.loads(fenced(answer, "json") or answer)
    except (ValueError, RecursionError):
        return False
    return True


def _quoted(answer: str) -> bool:
    text = answer.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _each(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)]


CHECKS: Mapping[str, Callable[[str, Any], bool]] = MappingProxyType(
    {
        "fewest_words": lambda answer, count: _words(answer) >= count,
        "most_words": lambda answer, count: _words(answer) <= count,
        "fewest_sentences": lambda answer, count: len(_SENTENCE.findall(answer)) >= count,
        "most_sentences": lambda answer, count: len(_SENTENCE.findall(answer)) <= count,
        "paragraphs": lambda answer, count: len(_paragraphs(answer)) == count,
        "lines": lambda answer, count: len(_lines(answer)) == count,
        "bullets": lambda answer, count: len(_BULLET.findall(answer)) == count,
        "contains": lambda answer, texts: all(_says(answer, text) for text in _each(texts)),
        "excludes": lambda answer, texts: not any(_says(answer, text) for text in _each(texts)),
        "begins_with": lambda answer, text: answer.strip().lower().startswith(str(text).lower()),
        "ends_with": lambda answer, text: answer.strip().lower().endswith(str(text).lower()),
        "no_commas": lambda answer, asked: ("," not in answer) == asked,
        "lower_case": lambda answer, asked: (answer == answer.lower()) == asked,
        "upper_case": lambda answer, asked: (answer == answer.upper()) == asked,
        "json": lambda answer, asked: _is_json(answer) == asked,
        "quoted": lambda answer, asked: _quoted(answer) == asked,
        "title": lambda answer, asked: bool(_TITLE.search(answer)) == asked,
        "placeholders": lambda answer, count: len(_PLACEHOLDER.findall(answer)) >= count,
        "highlights": lambda answer, count: len(_HIGHLIGHT.findall(answer)) >= count,
    }
)
"""Counts, texts or lists of texts, and true or false, as each asks."""
