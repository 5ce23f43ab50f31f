"""Chat templates that begin every conversation with given messages, for exports without luthier's prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@contextmanager
def opened(tokenizer: PreTrainedTokenizerBase, opening: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Let the tokenizer's chat template, or each of several, begin with the messages; put it back in the end."""
    before: Any = tokenizer.chat_template
    if opening and before is not None:
        several = isinstance(before, dict)
        made = {name: with_opening(each, opening) for name, each in (before if several else {"": before}).items()}
        tokenizer.chat_template = made if several else made[""]
    try:
        yield
    finally:
        tokenizer.chat_template = before


def with_opening(template: str, opening: Sequence[dict[str, Any]]) -> str:
    """The template behind a line that puts the messages first; a conversation's system prompt joins the opening's."""
    system = [turn["content"] for turn in opening if turn["role"] == "system"]
    turns = _said([{"role": turn["role"], "content": turn["content"]} for turn in opening if turn["role"] != "system"])
    if not system:
        first = f"messages[:1] + {turns} + messages[1:]"
        return f"{_UNLESS}{{%- set messages = {first} if has_system else {turns} + messages -%}}{template}"
    begin, joined = _said([{"role": "system", "content": system[0]}]), _said(system[0] + "\n\n")
    own = f"[{{'role': 'system', 'content': {joined} + messages[0]['content']}}] + {turns} + messages[1:]"
    return f"{_UNLESS}{{%- set messages = {own} if has_system else {begin} + {turns} + messages -%}}{template}"


_UNLESS = "{%- set has_system = messages and messages[0]['role'] == 'system' -%}"


def _said(value: Any) -> str:
    """JSON is Jinja, too, for lists, mappings and text."""
    return json.dumps(value, ensure_ascii=False)
