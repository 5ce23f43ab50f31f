"""Conversations of the same form as another, by which is seen what a template leaves out whatever a text says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.data.encoding.given_texts import TAGS
from luthier.data.encoding.message_forms import Message, called_function


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
                probe[key] = "".join(self._piece(piece) for piece in TAGS.split(message[key]))
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
        return piece if not said or TAGS.fullmatch(said) else piece.replace(said, self._text(), 1)

    def _same(self, given: str) -> str:
        if given not in self._names:
            self._names[given] = self._text()
        return self._names[given]

    def _text(self) -> str:
        self._count += 1
        return f"Qz{self._count:05}xW"  # nine letters and digits, as some templates want of an id
