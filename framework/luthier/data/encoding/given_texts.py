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
_TAGS = re.compile(r"(</?think>)")
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


@dataclass
class Probe:
    """A conversation of the same form as another, in which each text is one that occurs nowhere else.

    What a template leaves out of it, it leaves out for the form, not for what a text says.
    """

    _names: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def messages(self, messages: Sequence[Message]) -> list[Message]:
        return [self._message(message) for message in messages]

    def tools(self, tools: Any) -> Any:
        """The definitions with other names and descriptions; schemas keep their structure."""
        return tools and [
            {**tool, "function": self._definition(tool["function"])} if "function" in tool else self._definition(tool)
            for tool in tools
        ]

    def _message(self, message: Message) -> Message:
        probe = dict(message)
        for key in ("content", "reasoning_content"):
            if isinstance(message.get(key), str):
                probe[key] = "".join(self._piece(piece) for piece in _TAGS.split(message[key]))
        for key in ("name", "tool_call_id"):
            if message.get(key):
                probe[key] = self._same(message[key])
        if message.get("tool_calls"):
            probe["tool_calls"] = [self._call(call) for call in message["tool_calls"]]
        return probe

    def _call(self, call: Message) -> Message:
        function = called_function(call)
        name, arguments = str(function.get("name") or ""), self._value(function.get("arguments"))
        made = {**function, "name": self._same(name), "arguments": arguments}
        return {**call, "function": made, **({"id": self._same(call["id"])} if call.get("id") else {})}

    def _definition(self, function: dict[str, Any]) -> dict[str, Any]:
        made = {**function, "name": self._same(function["name"])}
        return {**made, "description": self._text()} if function.get("description") else made

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text() if value.strip() else value
        if isinstance(value, dict):
            return {key: self._value(inner) for key, inner in value.items()}
        return [self._value(inner) for inner in value] if isinstance(value, list) else value

    def _piece(self, piece: str) -> str:
        """A piece between tags of reasoning with its white space around another text; tags and blank ones stay."""
        said = piece.strip()
        return piece if not said or _TAGS.fullmatch(said) else piece.replace(said, self._text(), 1)

    def _same(self, given: str) -> str:
        if given not in self._names:
            self._names[given] = self._text()
        return self._names[given]

    def _text(self) -> str:
        self._count += 1
        return f"Qz{self._count:05}xW"  # nine letters and digits, as some templates want of an id


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
    for piece in _TAGS.split(thought):
        if not _TAGS.fullmatch(piece):
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
