"""Preference pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import Message, conversation
from luthier.data.formats.fields import further_fields
from luthier.data.formats.format import Format
from luthier.data.formats.pair_prompt import SAME_ANSWERS
from luthier.data.formats.preference_layouts import LAYOUTS, Layout
from luthier.data.formats.tools import with_tools
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Preference(Format):
    """Pairs of a chosen and a rejected answer; `messages` of the example is their prompt.

    These layouts are read: `prompt` (or question, or instruction and input; and perhaps system and history) with
    `chosen` and `rejected`, texts or lists of turns; the same beside `messages` or `conversations` (ShareGPT); `chosen`
    and `rejected` alone, as two whole conversations; the same as texts with "Human:" and "Assistant:" marks (HH-RLHF);
    `input`, `preferred_output` and `non_preferred_output` (OpenAI); `messages` with `rejected_response` or
    `rejected_messages` (ms-swift).

    The prompt is the whole common beginning of the two conversations, whether an answer repeats all of it, its last
    turns or none of it. Two equal answers are refused.
    """

    name = "preference"
    expects = "`chosen` and `rejected`, and perhaps `prompt`"
    keys = (("prompt", "chosen", "rejected"), ("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
    synonyms = {  # noqa: RUF012
        "chosen": ("preferred", "accepted", "better", "positive", "winner", "response_chosen"),
        "rejected": ("dispreferred", "refused", "worse", "negative", "loser", "response_rejected"),
    }

    def recognises(self, row: dict[str, Any]) -> str:
        layout = _layout(row)
        return f"there are {layout.holds}" if layout else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        layout = _layout(row)
        if layout is None:
            raise DataError(f"The row has the keys {', '.join(row)}, where {self.expects} are expected.")
        prompt, chosen, rejected = layout.read(row)
        example = further_fields(row, (*layout.uses(row), "tools", "parallel_tool_calls"), counts)
        example["messages"] = conversation(prompt, counts, at="the prompt", answered=False)
        for key, answer in (("chosen", chosen), ("rejected", rejected)):
            example[key] = _continuation(example["messages"], answer, key, counts)
        if _content(example["chosen"]) == _content(example["rejected"]):
            raise DataError(SAME_ANSWERS)
        return with_tools(example, {**row, "tools": _tools(row)})


def _tools(row: dict[str, Any]) -> Any:
    """The tool definitions of the row, or of its `input` (OpenAI)."""
    asked = row.get("input")
    return row.get("tools") or (asked.get("tools") if isinstance(asked, dict) else None)


def _layout(row: dict[str, Any]) -> Layout | None:
    return next((layout for layout in LAYOUTS if layout.fits(row)), None)


def _continuation(prompt: list[Message], answer: list[Message], key: str, counts: Counter[str]) -> list[Message]:
    """The turns of the answer, normalised together with the prompt."""
    if not any(isinstance(turn, dict) and turn.get("role") == "assistant" for turn in answer):
        raise DataError(f"The {key} answer has no assistant turn.")
    if prompt[-1]["role"] == "assistant" == answer[0].get("role"):
        raise DataError("The prompt ends with an assistant turn, so there is nothing to answer.")
    own: Counter[str] = Counter()
    whole = conversation([*(dict(message) for message in prompt), *answer], own, at=key)
    counts.update({name: count for name, count in own.items() if name != "starts_with_assistant"})
    return whole[len(prompt) :]


def _content(turns: list[Message]) -> list[tuple[Any, ...]]:
    return [
        (turn["role"], turn["content"].strip(), turn.get("reasoning_content"), turn.get("tool_calls")) for turn in turns
    ]
