"""The column layouts of preference pairs."""

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
    """A layout: its description, whether a row has it, how prompt and answers are read, and its columns."""

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
    """The answer without the turns of the prompt that it repeats."""
    contents = [message["content"] for message in prompt if isinstance(message, dict) and "content" in message]
    same = 0
    while same < len(answer) and _repeats(answer[same], contents):
        same += 1
    return answer[same:] if same < len(answer) else answer


def _repeats(turn: Any, contents: list[Any]) -> bool:
    return isinstance(turn, dict) and turn.get("role") != "assistant" and turn.get("content") in contents


def _implicit(row: Row) -> Pair:
    chosen, rejected = _turns(row, "chosen", "assistant"), _turns(row, "rejected", "assistant")
    return _split_at_prompt(chosen, rejected)


def _marked(row: Row) -> Pair:
    return _split_at_prompt(
        _by_marks(text_field(row, "chosen"), "chosen"), _by_marks(text_field(row, "rejected"), "rejected")
    )


def _by_marks(text: str, key: str) -> list[Message]:
    pieces = _MARK.split(text)
    if pieces[0].strip():
        raise DataError(f'`{key}` does not start with "Human:" or "Assistant:".')
    roles = {"Human": "user", "Assistant": "assistant"}
    return [{"role": roles[mark], "content": content} for mark, content in zip(pieces[1::2], pieces[2::2], strict=True)]


def _split_at_prompt(chosen: list[Message], rejected: list[Message]) -> Pair:
    """The common prefix of two conversations, and the rest of each."""
    together = zip(chosen, rejected, strict=False)
    common = [turn for turn, _ in takewhile(lambda pair: pair[0] == pair[1], together)]
    while common and isinstance(common[-1], dict) and common[-1].get("role") == "assistant":
        common.pop()
    if not common:
        raise DataError(
            "The chosen and the rejected conversation have no common prefix, so there is no prompt.",
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
    return all(isinstance(text, str) and _MARK.match(text) for text in both)


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
        "`chosen` and `rejected`, two conversations with a common prefix",
        lambda row: isinstance(row.get("chosen"), list) and isinstance(row.get("rejected"), list),
        _implicit,
        ("chosen", "rejected"),
    ),
)
