"""The field layouts in which pairs of answers come."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from luthier.data.formats.conversation import Message
from luthier.data.formats.fields import kind, system_turns, text_field
from luthier.data.formats.sharegpt import turn_in_openai_form
from luthier.errors import DataError

Row = dict[str, Any]
Pair = tuple[list[Message], list[Message], list[Message]]
QUESTIONS = ("prompt", "question", "instruction", "input")
_MARK = re.compile(r"(?:^|\n\n)(Human|Assistant):\s?")


@dataclass(frozen=True, slots=True)
class Layout:
    """`holds` in words; `fits` a row or not; `read` gives prompt, chosen and rejected turns; `uses` are its columns."""

    holds: str
    fits: Callable[[Row], bool]
    read: Callable[[Row], Pair]
    uses: tuple[str, ...]


def _turns(row: Row, key: str, role: str) -> list[Message]:
    """A field that is text, one turn, or a list of turns."""
    value = row.get(key)
    if isinstance(value, dict):
        return [turn_in_openai_form(value, key) if "from" in value else value]
    if isinstance(value, list):
        return [
            turn_in_openai_form(turn, f"{key}[{i}]") if isinstance(turn, dict) and "from" in turn else turn
            for i, turn in enumerate(value)
        ]
    return [{"role": role, "content": text_field(row, key)}]


def _question(row: Row) -> str | None:
    return next((key for key in QUESTIONS if row.get(key)), None)


def _explicit(row: Row) -> Pair:
    question = _question(row) or "prompt"
    system = system_turns(row)
    prompt = [*system, *_turns(row, question, "user")]
    chosen, rejected = _turns(row, "chosen", "assistant"), _turns(row, "rejected", "assistant")
    return prompt, _without(prompt, chosen), _without(prompt, rejected)


def _without(prompt: list[Message], answer: list[Message]) -> list[Message]:
    """The answer alone, where the field repeats the whole conversation."""
    said = [message["content"] for message in prompt if isinstance(message, dict) and "content" in message]
    same = 0
    while same < len(answer) and answer[same : same + 1] and _says(answer[same], said):
        same += 1
    return answer[same:] if same < len(answer) else answer


def _says(turn: Any, said: list[Any]) -> bool:
    return isinstance(turn, dict) and turn.get("role") != "assistant" and turn.get("content") in said


def _implicit(row: Row) -> Pair:
    chosen, rejected = _turns(row, "chosen", "assistant"), _turns(row, "rejected", "assistant")
    return _parted(chosen, rejected)


def _marked(row: Row) -> Pair:
    return _parted(_by_marks(text_field(row, "chosen"), "chosen"), _by_marks(text_field(row, "rejected"), "rejected"))


def _by_marks(said: str, key: str) -> list[Message]:
    pieces = _MARK.split(said)
    if pieces[0].strip():
        raise DataError(f'`{key}` does not start with "Human:" or "Assistant:".')
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[mark], "content": words} for mark, words in zip(pieces[1::2], pieces[2::2], strict=True)]


def _parted(chosen: list[Message], rejected: list[Message]) -> Pair:
    """The common beginning of two conversations, and what follows in each."""
    together = zip(chosen, rejected, strict=False)
    common = [turn for turn, _ in takewhile(lambda pair: pair[0] == pair[1], together)]
    while common and isinstance(common[-1], dict) and common[-1].get("role") == "assistant":
        common.pop()
    if not common:
        raise DataError(
            "The chosen and the rejected conversation have no common beginning, so there is no prompt.",
            hint="Give it in a column `prompt`.",
        )
    return common, chosen[len(common) :], rejected[len(common) :]


def _sharegpt(row: Row) -> Pair:
    system = system_turns(row)
    prompt = [*system, *_turns(row, "conversations", "user")]
    return prompt, _turns(row, "chosen", "assistant"), _turns(row, "rejected", "assistant")


def _openai(row: Row) -> Pair:
    given = row["input"]
    if not isinstance(given, dict) or not isinstance(given.get("messages"), list):
        raise DataError(f"`input` is {kind(given)}, where an object with `messages` is expected.")
    chosen, rejected = (_turns(row, key, "assistant") for key in ("preferred_output", "non_preferred_output"))
    return given["messages"], chosen, rejected


def _has(*keys: str) -> Callable[[Row], bool]:
    return lambda row: all(row.get(key) is not None for key in keys)


def _are_marked(row: Row) -> bool:
    both = row.get("chosen"), row.get("rejected")
    return all(isinstance(said, str) and _MARK.match(said) for said in both)


LAYOUTS = (
    Layout(
        "`input`, `preferred_output` and `non_preferred_output` (OpenAI)",
        _has("input", "preferred_output", "non_preferred_output"),
        _openai,
        ("input", "preferred_output", "non_preferred_output"),
    ),
    Layout(
        "`conversations` with a `chosen` and a `rejected` turn (ShareGPT)",
        _has("conversations", "chosen", "rejected"),
        _sharegpt,
        ("conversations", "chosen", "rejected", "system"),
    ),
    Layout(
        "two conversations marked with Human: and Assistant: (HH-RLHF)",
        lambda row: _are_marked(row) and _question(row) is None,
        _marked,
        ("chosen", "rejected"),
    ),
    Layout(
        "a prompt, `chosen` and `rejected`",
        lambda row: _has("chosen", "rejected")(row) and _question(row) is not None,
        _explicit,
        ("prompt", "question", "instruction", "input", "chosen", "rejected", "system"),
    ),
    Layout(
        "`chosen` and `rejected`, two conversations with a common beginning",
        lambda row: isinstance(row.get("chosen"), list) and isinstance(row.get("rejected"), list),
        _implicit,
        ("chosen", "rejected"),
    ),
)
