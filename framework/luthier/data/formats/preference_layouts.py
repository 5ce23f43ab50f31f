"""The column layouts of preference pairs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luthier.data.formats.alpaca import history_turns
from luthier.data.formats.conversation import Message
from luthier.data.formats.fields import kind, system_turns, text_field
from luthier.data.formats.pair_prompt import Pair, split_at_prompt
from luthier.data.formats.sharegpt import turn_in_openai_form
from luthier.errors import DataError

Row = dict[str, Any]
QUESTIONS = ("prompt", "question", "instruction", "input")
_MARK = re.compile(r"(?:^|\n\n)(Human|Assistant):\s?")


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout: its description, whether a row has it, how prompt and answers are read, and its columns."""

    holds: str
    fits: Callable[[Row], bool]
    read: Callable[[Row], Pair]
    columns: tuple[str, ...]

    def uses(self, row: Row) -> tuple[str, ...]:
        """The columns that are read of a row: of several that may hold a text prompt, the first alone."""
        question = _question(row) if self.read is _explicit else None
        asked = {question, "input"} if question == "instruction" else {question}
        return tuple(name for name in self.columns if question is None or name not in QUESTIONS or name in asked)


def turns_of(row: Row, key: str, role: str) -> list[Message]:
    """A field that is text, text with "Human:" and "Assistant:" marks, one turn, or a list of turns."""
    value = row.get(key)
    if isinstance(value, dict):
        return [turn_in_openai_form(value, key) if "from" in value else value]
    if isinstance(value, list):
        return [
            turn_in_openai_form(turn, f"{key}[{i}]") if isinstance(turn, dict) and "from" in turn else turn
            for i, turn in enumerate(value)
        ]
    text = text_field(row, key)
    return _by_marks(text) if _is_marked(text) else [{"role": role, "content": text}]


def _is_marked(text: str) -> bool:
    """Whether a text is a conversation with marks: a single label at its beginning is text like any other."""
    marks = _MARK.findall(text.lstrip())
    return _MARK.match(text.lstrip()) is not None and "Assistant" in marks and len(marks) > 1


def _by_marks(text: str) -> list[Message]:
    """The turns of a text with marks; a mark at its end, which the answer follows, is no turn."""
    pieces = _MARK.split(text.lstrip())
    roles = {"Human": "user", "Assistant": "assistant"}
    turns = [
        {"role": roles[mark], "content": content} for mark, content in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    return turns[:-1] if len(turns) > 1 and not turns[-1]["content"].strip() else turns


def _question(row: Row) -> str | None:
    return next((key for key in QUESTIONS if row.get(key)), None)


def _answers(row: Row) -> tuple[list[Message], list[Message]]:
    return turns_of(row, "chosen", "assistant"), turns_of(row, "rejected", "assistant")


def _explicit(row: Row) -> Pair:
    question = _question(row) or "prompt"
    asked = turns_of(row, question, "user")
    if question == "instruction" and isinstance(row.get("input"), str) and row["input"].strip():
        asked = [{"role": "user", "content": f"{text_field(row, question)}\n\n{row['input']}"}]
    chosen, rejected = _answers(row)
    if isinstance(row[question], str) and row[question].rstrip().endswith("Assistant:"):
        chosen, rejected = _continued(chosen), _continued(rejected)
    return split_at_prompt(_with_system(row, [*history_turns(row), *asked]), chosen, rejected)


def _continued(answer: list[Message]) -> list[Message]:
    """The answer without the blank that parts it from the mark at the end of its prompt."""
    return [
        {**turn, "content": turn["content"].removeprefix(" ")} if number == 0 else turn
        for number, turn in enumerate(answer)
    ]


def _implicit(row: Row) -> Pair:
    return split_at_prompt(system_turns(row), *_answers(row))


def _beside_messages(row: Row) -> Pair:
    """The answers stand in place of the last one of `messages`, where that ends with one."""
    messages = turns_of(row, "messages", "user")
    answered = isinstance(messages[-1], dict) and messages[-1].get("role") == "assistant"
    return split_at_prompt(_with_system(row, messages[:-1] if answered else messages), *_answers(row))


def _sharegpt(row: Row) -> Pair:
    return split_at_prompt(_with_system(row, turns_of(row, "conversations", "user")), *_answers(row))


def _openai(row: Row) -> Pair:
    given = row["input"]
    if not isinstance(given, dict) or not isinstance(given.get("messages"), list):
        raise DataError(f"`input` is {kind(given)}, where an object with `messages` is expected.")
    chosen, rejected = (turns_of(row, key, "assistant") for key in ("preferred_output", "non_preferred_output"))
    return split_at_prompt(given["messages"], chosen, rejected)


def _swift(row: Row) -> Pair:
    """The last turn of `messages` is the chosen answer, and the rejected one stands in its place."""
    messages = turns_of(row, "messages", "user")
    if not messages or not isinstance(messages[-1], dict) or messages[-1].get("role") != "assistant":
        raise DataError("`messages` does not end with an assistant turn, so there is no chosen answer.")
    if row.get("rejected_messages"):
        return split_at_prompt(system_turns(row), messages, turns_of(row, "rejected_messages", "user"))
    rejected = turns_of(row, "rejected_response", "assistant")
    return split_at_prompt(_with_system(row, messages[:-1]), messages[-1:], rejected)


def _with_system(row: Row, turns: list[Message]) -> list[Message]:
    """The turns behind the text in the column `system`, unless they begin with that."""
    system = system_turns(row)
    return turns if turns[:1] == system else [*system, *turns]


def _has(*keys: str) -> Callable[[Row], bool]:
    return lambda row: all(row.get(key) is not None for key in keys)


def _are_marked(row: Row) -> bool:
    both = row.get("chosen"), row.get("rejected")
    return all(isinstance(text, str) and _is_marked(text) for text in both)


def _are_lists(row: Row) -> bool:
    return isinstance(row.get("chosen"), list) and isinstance(row.get("rejected"), list)


LAYOUTS = (
    Layout(
        "`input`, `preferred_output` and `non_preferred_output` (OpenAI)",
        _has("input", "preferred_output", "non_preferred_output"),
        _openai,
        ("input", "preferred_output", "non_preferred_output"),
    ),
    Layout(
        "`messages` and the rejected answer beside it (ms-swift)",
        lambda row: _has("messages")(row) and bool(row.get("rejected_response") or row.get("rejected_messages")),
        _swift,
        ("messages", "rejected_response", "rejected_messages", "system"),
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
        _implicit,
        ("prompt", "chosen", "rejected", "system"),
    ),
    Layout(
        "a prompt, `chosen` and `rejected`",
        lambda row: _has("chosen", "rejected")(row) and _question(row) is not None,
        _explicit,
        ("prompt", "question", "instruction", "input", "history", "chosen", "rejected", "system"),
    ),
    Layout(
        "`messages`, and `chosen` and `rejected` answers to them",
        _has("messages", "chosen", "rejected"),
        _beside_messages,
        ("messages", "chosen", "rejected", "system"),
    ),
    Layout(
        "`chosen` and `rejected`, two conversations with a common prefix",
        _are_lists,
        _implicit,
        ("prompt", "chosen", "rejected", "system"),
    ),
)
