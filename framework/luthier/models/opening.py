"""Chat templates that begin every conversation with given messages, for exports without luthier's prompt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@contextmanager
def opened(
    tokenizer: PreTrainedTokenizerBase,
    opening: Sequence[dict[str, Any]],
    takes_parts: Callable[[str, PreTrainedTokenizerBase], bool] = lambda template, tokenizer: False,
) -> Iterator[None]:
    """Let the tokenizer's chat template, or each of several, begin with the messages; put it back in the end.

    `takes_parts` says of a template whether it shows the text of a message as a list of parts alone.
    """
    before: Any = tokenizer.chat_template
    if opening and before is not None:
        templates = before if isinstance(before, dict) else {"": before}
        made = {
            name: with_opening(each, opening, in_parts=takes_parts(each, tokenizer)) for name, each in templates.items()
        }
        tokenizer.chat_template = made if isinstance(before, dict) else made[""]
    try:
        yield
    finally:
        tokenizer.chat_template = before


def with_opening(template: str, opening: Sequence[dict[str, Any]], *, in_parts: bool = False) -> str:
    """The template behind a line that puts the messages first; a conversation's system prompt joins the opening's.

    Texts are strings, or with `in_parts` lists of one part. A conversation may have its own in either form.
    """
    content = _parts if in_parts else str
    system = [turn["content"] for turn in opening if turn["role"] == "system"]
    others = [turn for turn in opening if turn["role"] != "system"]
    turns = _said([{"role": turn["role"], "content": content(turn["content"])} for turn in others])
    if not system:
        first = f"messages[:1] + {turns} + messages[1:]"
        return f"{_UNLESS}{{%- set messages = {first} if has_system else {turns} + messages -%}}{template}"
    begin = _said([{"role": "system", "content": content(system[0])}])
    theirs, before = "messages[0]['content']", system[0] + "\n\n"
    joined = f"{_said(before)} + {theirs} if {theirs} is string else {_said(_parts(before))} + {theirs}"
    own = f"[{{'role': 'system', 'content': {joined}}}] + {turns} + messages[1:]"
    return f"{_UNLESS}{{%- set messages = {own} if has_system else {begin} + {turns} + messages -%}}{template}"


_UNLESS = "{%- set has_system = messages and messages[0]['role'] == 'system' -%}"


def _parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def _said(value: Any) -> str:
    """JSON is Jinja, too, for lists, mappings and text."""
    return json.dumps(value, ensure_ascii=False)
