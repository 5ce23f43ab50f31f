"""Chat templates that begin every conversation with given messages, for exports without luthier's prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from luthier.models.content_parts import takes_parts, text_parts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@contextmanager
def opened(tokenizer: PreTrainedTokenizerBase, opening: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Let the tokenizer's chat template, or each of several, begin with the messages; put it back in the end."""
    before: Any = tokenizer.chat_template
    if opening and before is not None:
        several = isinstance(before, dict)
        tokens = tuple((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
        templates = before if several else {"": before}
        made = {name: with_opening(each, opening, tokens) for name, each in templates.items()}
        tokenizer.chat_template = made if several else made[""]
    try:
        yield
    finally:
        tokenizer.chat_template = before


def with_opening(template: str, opening: Sequence[dict[str, Any]], tokens: tuple[tuple[str, str], ...] = ()) -> str:
    """The template behind a line that puts the messages first; a conversation's system prompt joins the opening's.

    Texts are strings, or parts for a template that shows nothing else; `tokens` are those of `takes_parts`.
    """
    content = text_parts if takes_parts(template, tokens) else str
    system = [turn["content"] for turn in opening if turn["role"] == "system"]
    others = [turn for turn in opening if turn["role"] != "system"]
    turns = _said([{"role": turn["role"], "content": content(turn["content"])} for turn in others])
    if not system:
        first = f"messages[:1] + {turns} + messages[1:]"
        return f"{_UNLESS}{{%- set messages = {first} if has_system else {turns} + messages -%}}{template}"
    begin = _said([{"role": "system", "content": content(system[0])}])
    theirs, before = "messages[0]['content']", system[0] + "\n\n"
    joined = f"{_said(before)} + {theirs} if {theirs} is string else {_said(text_parts(before))} + {theirs}"
    own = f"[{{'role': 'system', 'content': {joined}}}] + {turns} + messages[1:]"
    return f"{_UNLESS}{{%- set messages = {own} if has_system else {begin} + {turns} + messages -%}}{template}"


_UNLESS = "{%- set has_system = messages and messages[0]['role'] == 'system' -%}"


def _said(value: Any) -> str:
    """JSON is Jinja, too, for lists, mappings and text."""
    return json.dumps(value, ensure_ascii=False)
