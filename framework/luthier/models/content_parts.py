"""Chat templates that show the text of a message only where it comes in parts, as those of image processors do."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

_TEXTS = {"user": "b7c1 asks", "assistant": "9e4f answers"}  # in which no template has a word of its own


@lru_cache(maxsize=64)
def takes_parts(template: str, tokens: tuple[tuple[str, str], ...] = ()) -> bool:
    """Whether a template leaves out a text that is a string, and shows one that is a list of parts.

    `tokens` are the names and texts of special tokens. The template is rendered here, in Jinja's sandbox.
    """
    turns = [{"role": role, "content": text} for role, text in _TEXTS.items()]
    return not _shows(template, turns, tokens) and _shows(
        template, [{**turn, "content": text_parts(turn["content"])} for turn in turns], tokens
    )


def text_parts(text: str) -> list[dict[str, str]]:
    """A text as the content of a message in parts."""
    return [{"type": "text", "text": text}]


def _shows(template: str, turns: list[dict[str, Any]], tokens: tuple[tuple[str, str], ...]) -> bool:
    try:
        variables: dict[str, Any] = dict(tokens)
        rendered: Any = render_jinja_template([turns], chat_template=template, **variables)
    except Exception:  # whatever a template raises for what it does not take
        return False
    return all(text in rendered[0][0] for text in _TEXTS.values())
