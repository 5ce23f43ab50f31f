"""How does an example become text? The smallest answer, and how a system prompt comes before a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.data.examples import message_text


class ChatPrompt(Prompt):
    """The conversation as the data has it."""

    def __call__(self, example: Example) -> Example:
        return example

    def opening(self) -> list[dict[str, Any]]:
        return []


def with_system(system: str, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A conversation with a system prompt in front; its own follows that behind a blank line."""
    own = [turn for turn in messages[:1] if turn["role"] == "system"]
    said = "\n\n".join([*([system] if system else []), *(message_text(turn) for turn in own)])
    first = [{**(own[0] if own else {}), "role": "system", "content": said}] if said else []
    return [*first, *messages[len(own) :]]
