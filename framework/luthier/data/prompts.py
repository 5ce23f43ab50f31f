"""The prompt without changes, and the insertion of a system prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.data.examples import message_text


class ChatPrompt(Prompt):
    """The messages of the data, unchanged."""

    def __call__(self, example: Example) -> Example:
        return example

    def opening(self) -> list[dict[str, Any]]:
        return []


def with_system(system: str, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation with a system prompt, to which its own system turn is appended after a blank line."""
    own = [turn for turn in messages[:1] if turn["role"] == "system"]
    content = "\n\n".join([*([system] if system else []), *(message_text(turn) for turn in own)])
    first = [{**(own[0] if own else {}), "role": "system", "content": content}] if content else []
    return [*first, *messages[len(own) :]]
