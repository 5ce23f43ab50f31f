"""ShareGPT's chat format."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import further_fields, is_list_of_turns, kind, system_turns
from luthier.data.formats.format import Format
from luthier.data.formats.tools import with_tools
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "function_call": "call",
    "observation": "tool",
    "tool": "tool",
}


@dataclass(frozen=True)
class ShareGPT(Format):
    """ShareGPT's chat format: `conversations`, a list of turns with `from` and `value`.

    `from` is system, human, gpt (also user, assistant, chatgpt, bing, bard), function_call (the value is the call in
    JSON: name and arguments, or a list of these) or observation (a tool result). The columns `system` and `tools` are
    read; a turn may have a `weight`. Messages are normalised as by `data/format=messages`.
    """

    answered: bool = True

    name = "sharegpt"
    expects = "`conversations`, a list of turns with `from` and `value`"
    keys = (("conversations",),)
    synonyms = {"conversations": ("conversation", "dialog", "dialogue", "turns", "chat")}  # noqa: RUF012

    def recognises(self, row: dict[str, Any]) -> str:
        fits = is_list_of_turns(row.get("conversations"), "from")
        return "`conversations` is a list of turns with `from` and `value`" if fits else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        turns = row.get("conversations")
        if not isinstance(turns, (list, tuple)):
            raise DataError(f"`conversations` is {kind(turns)}, where a list of turns is expected.")
        example = further_fields(row, ("conversations", "system", "tools"), counts)
        messages = [turn_in_openai_form(turn, f"conversations[{i}]") for i, turn in enumerate(turns)]
        example["messages"] = conversation(
            messages, counts, at="conversations", answered=self.answered, system=system_turns(row)
        )
        return with_tools(example, row)


def turn_in_openai_form(turn: Any, at: str) -> dict[str, Any]:
    """One turn with `role` and `content`; DataError for an unknown `from`."""
    speaker = turn.get("from") if isinstance(turn, dict) else None
    if not isinstance(speaker, str) or speaker not in ROLES:
        found = f"`from` {speaker!r}" if isinstance(turn, dict) else f"no `from`: it is {kind(turn)}"
        raise DataError(f"`{at}` has {found}; known are {', '.join(ROLES)}.")
    rest = {key: value for key, value in turn.items() if key not in ("from", "value")}
    if ROLES[speaker] == "call":
        calls = _calls(turn.get("value"), at)
        return {"role": "assistant", "content": None, "tool_calls": [{"function": call} for call in calls], **rest}
    return {"role": ROLES[speaker], "content": turn.get("value"), **rest}


def _calls(value: Any, at: str) -> list[Any]:
    """The calls of a turn: one, or a list of several."""
    try:
        calls = json.loads(value)
        return calls if isinstance(calls, list) else [calls]
    except (TypeError, ValueError, RecursionError):
        raise DataError(f"`{at}` is a function call whose value is not JSON.") from None
