"""What becomes of the reasoning of a conversation's answers before it is encoded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from luthier.contracts.examples import Example

Message = dict[str, Any]
Reasoning = Literal["field", "inline", "drop"]
"""field: as the data has it; inline: as a `<think>` block in the content; drop: left out."""

_BLOCK = re.compile(r"\A\s*(?:<think>)?(?:(?!</?think>).)*</think>\s*", re.DOTALL)


def inline_reasoning(message: Message) -> Message:
    """The message with its reasoning as a `<think>` block at the beginning of its content."""
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    block = "<think>\n" + str(message["reasoning_content"]).strip("\n") + "\n</think>\n\n"
    return {**rest, "content": block + (message.get("content") or "")}


def with_reasoning(example: Example, reasoning: Reasoning, counts: Counter[str]) -> Example:
    """The example with the reasoning of its answers as the setting says; changes are counted by its name."""
    if reasoning == "field":
        return example
    change = {"inline": _inlined, "drop": _dropped}[reasoning]
    changed: Example = {**example}
    for key in ("messages", "chosen", "rejected"):
        if isinstance(example.get(key), list):
            changed[key] = [_changed(message, change, f"reasoning_{reasoning}", counts) for message in example[key]]
    return changed


def _changed(message: Message, change: Callable[[Message], Message], name: str, counts: Counter[str]) -> Message:
    made = change(message) if message["role"] == "assistant" else message
    counts[name] += made != message
    return made


def _inlined(message: Message) -> Message:
    return inline_reasoning(message) if message.get("reasoning_content") else message


def _dropped(message: Message) -> Message:
    """The message without reasoning; an answer that is nothing else stays as it is, and is found when it is encoded."""
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    content = _BLOCK.sub("", message.get("content") or "")
    return {**rest, "content": content} if content or message.get("tool_calls") else message
