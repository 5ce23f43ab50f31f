"""OpenAI's chat format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import further_fields
from luthier.data.formats.format import Format
from luthier.data.formats.tools import with_tools

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Messages(Format):
    """Conversations as OpenAI writes them: `messages`, a list of turns with `role` and `content`.

    Turns may have tool calls and a `weight` (0: not trained on); `tools` beside them holds the tool definitions, and
    every further column stays under its own name. `answered` false allows prompts without an assistant turn, as
    reinforcement learning has them. What is refused and what is made regular, with its count:
    `luthier.data.formats.conversation.conversation`.
    """

    answered: bool = True

    name = "messages"
    expects = "`messages`, a list of turns with `role` and `content`"
    keys = (("messages",),)
    synonyms = {"messages": ("conversations", "conversation", "dialog", "dialogue", "turns", "chat")}  # noqa: RUF012

    def recognises(self, row: dict[str, Any]) -> str:
        turns = row.get("messages")
        if isinstance(turns, (list, tuple)) and turns and isinstance(turns[0], dict) and "role" in turns[0]:
            return "`messages` is a list of turns with `role`"
        return ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        example = further_fields(row, ("messages", "tools", "parallel_tool_calls"), counts)
        example["messages"] = conversation(row.get("messages"), counts, answered=self.answered)
        return with_tools(example, row)
