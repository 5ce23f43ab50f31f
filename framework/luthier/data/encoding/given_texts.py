"""The texts that a conversation gives, and which of them a rendering leaves out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from luthier.data.encoding.message_forms import Message, called_function

REASONING, CALLS, CONTENT = "reasoning", "tool calls", "content"
"""Kinds of texts of an answer."""
NAMES, IDS, DEFINITIONS = "names", "tool call ids", "tool definitions"
"""Kinds of texts that are context only."""
TAGS = re.compile(r"(</?think>)")
_CONTENT = {
    "system": "system prompts",
    "user": "content of user turns",
    "assistant": CONTENT,
    "tool": "results of tools",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A text of a conversation: the number of its message, None for tool definitions, and what kind of text it is."""

    message: int | None
    kind: str
    text: str


def given_texts(messages: Sequence[Message], tools: Any) -> Iterator[Given]:
    """Content, reasoning, calls with their arguments, names and ids of messages, then the definitions of tools."""
    for number, message in enumerate(messages):
        if reasoning := message.get("reasoning_content"):
            yield Given(number, REASONING, reasoning)
        for kind, text in _of_content(message):
            yield Given(number, kind, text)
        for call in message.get("tool_calls") or ():
            function = called_function(call)
            yield Given(number, CALLS, str(function.get("name") or ""))
            for text in _leaves(function.get("arguments")):
                yield Given(number, CALLS, text)
            if call.get("id"):
                yield Given(number, IDS, call["id"])
        if name := message.get("name"):
            yield Given(number, NAMES, name)
        if identity := message.get("tool_call_id"):
            yield Given(number, IDS, identity)
    for tool in tools or ():
        for text in _of_definition(tool):
            yield Given(None, DEFINITIONS, text)


@dataclass
class RenderedText:
    """Searches one rendered text for given texts: as they are, or as templates write them into JSON or XML.

    White space at both ends is a template's own, and texts are looked for in their order first: one that is left out is
    not mistaken for an equal one before it.
    """

    text: str
    _place: int = field(default=0, init=False)

    def has(self, given: str) -> bool:
        """Whether the text is there."""
        wanted = given.strip()
        if not wanted:
            return True
        at = self.text.find(wanted, self._place)
        if at >= 0:
            self._place = at + len(wanted)
            return True
        return wanted in self.text or any(form in self.text for form in _written(wanted)) or self._squeezed_has(wanted)

    def _squeezed_has(self, wanted: str) -> bool:
        return "".join(wanted.split()) in self._squeezed

    @cached_property
    def _squeezed(self) -> str:
        return "".join(self.text.split())


def left_out(text: str, texts: Sequence[Given]) -> list[Given]:
    """The given texts that a rendered text does not have."""
    rendered = RenderedText(text)
    return [given for given in texts if not rendered.has(given.text)]


def _of_content(message: Message) -> Iterator[tuple[str, str]]:
    """The content of a message; of an answer with a `<think>` block, the block's text is reasoning."""
    content, kind = message.get("content") or "", _CONTENT.get(message["role"], CONTENT)
    if not isinstance(content, str):
        yield from ((kind, text) for part in content for text in _leaves(part.get("text")))
        return
    if kind != CONTENT or "</think>" not in content:
        yield kind, content
        return
    thought, _, said = content.rpartition("</think>")
    for piece in TAGS.split(thought):
        if not TAGS.fullmatch(piece):
            yield REASONING, piece
    yield CONTENT, said


def _written(text: str) -> Iterator[str]:
    """The text as a template may write it into JSON or XML."""
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1]
    yield html.escape(text)


def _leaves(value: Any) -> Iterator[str]:
    """The texts of a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)


def _of_definition(tool: Any) -> Iterator[str]:
    """The name and the description of a function and of its parameters, at any depth."""
    function = tool.get("function", tool) if isinstance(tool, dict) else {}
    for key in ("name", "description"):
        if isinstance(function.get(key), str):
            yield function[key]
    yield from _of_schema(function.get("parameters"))


def _of_schema(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _of_schema(inner)
    if not isinstance(schema, dict):
        return
    for key, inner in schema.items():
        if key == "description" and isinstance(inner, str):
            yield inner
        elif key == "enum" and isinstance(inner, list):
            yield from (one for one in inner if isinstance(one, str))
        elif key in ("properties", "$defs", "definitions") and isinstance(inner, dict):
            for name, of_name in inner.items():
                yield name
                yield from _of_schema(of_name)
        elif isinstance(inner, (dict, list)):
            yield from _of_schema(inner)
