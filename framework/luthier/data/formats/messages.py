"""OpenAI's chat format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import further_fields, is_list_of_turns, system_turns
from luthier.data.formats.format import Format
from luthier.data.formats.tools import with_tools

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Messages(Format):
    """OpenAI's chat format: `messages`, a list of turns with `role` and `content`.

    Turns may have tool calls and a `weight` (0: not trained on). The column `system` is a system turn before them, and
    `tools` (or `functions`) holds the tool definitions; each further column is kept under its own name. `answered`
    false allows prompts without an assistant turn, for reinforcement learning.
    `luthier.data.formats.conversation.conversation` lists what is refused and normalised.
    """

    answered: bool = True

    name = "messages"
    expects = "`messages`, a list of turns with `role` and `content`"
    keys = (("messages",),)
    synonyms = {"messages": ("conversations", "conversation", "dialog", "dialogue", "turns", "chat")}  # noqa: RUF012

    def recognises(self, row: dict[str, Any]) -> str:
        return "`messages` is a list of turns with `role`" if is_list_of_turns(row.get("messages"), "role") else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        used = ("messages", "system", "tools", "functions", "parallel_tool_calls")
        example = further_fields(row, used, counts)
        example["messages"] = conversation(
            row.get("messages"), counts, answered=self.answered, system=system_turns(row)
        )
        return with_tools(example, {"tools": row.get("tools") or row.get("functions")})
