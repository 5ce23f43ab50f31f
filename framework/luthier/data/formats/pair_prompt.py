"""The prompt of a preference pair: all turns that both conversations begin with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Any

from luthier.data.formats.conversation import Message
from luthier.errors import DataError

Pair = tuple[list[Message], list[Message], list[Message]]
"""The prompt, and the turns of the chosen and of the rejected answer after it."""
SAME_ANSWERS = "The chosen and the rejected answer are the same, so the pair expresses no preference."


def split_at_prompt(prompt: Sequence[Any], chosen: Sequence[Any], rejected: Sequence[Any]) -> Pair:
    """The whole common beginning of the two conversations, and the rest of each.

    `prompt` may be the beginning of the conversations, all turns before the answers, their last question, or empty;
    an answer may repeat the prompt, its last turns, or none of them, with or without the system turn. DataError where
    a conversation does not fit the prompt, where system turns differ, where there is no common turn but the system's,
    and where one conversation is the beginning of the other.
    """
    system = _system(prompt, chosen, rejected)
    asked = _without_system(prompt)
    whole = [_joined(asked, _without_system(turns), key) for key, turns in (("chosen", chosen), ("rejected", rejected))]
    common = len(list(takewhile(lambda pair: _same(*pair), zip(*whole, strict=False))))
    if not common:
        raise DataError(
            "The chosen and the rejected conversation have no common prefix, so there is no prompt.",
            hint="Give it in a column `prompt`.",
        )
    first, second = (len(turns) == common for turns in whole)
    if first and second:
        raise DataError(SAME_ANSWERS)
    if first or second:
        shorter, longer = ("chosen", "rejected") if first else ("rejected", "chosen")
        raise DataError(
            f"The {shorter} conversation is the beginning of the {longer} one, so it has no answer of its own."
        )
    return [*system, *whole[0][:common]], whole[0][common:], whole[1][common:]


def _joined(asked: list[Any], turns: list[Any], key: str) -> list[Any]:
    """The whole conversation of an answer, in which the turns of the prompt stand once."""
    if len(turns) > len(asked) and _begins(turns, asked):
        return turns
    if not turns or _role(turns[0]) == "assistant":
        return [*asked, *turns]
    for length in range(min(len(asked), len(turns)), 0, -1):  # the answer repeats the last turns of the prompt
        if _begins(turns, asked[-length:]):
            return [*asked, *turns[length:]]
    for start in range(1, len(turns) - len(asked)):  # the prompt is the last question of the conversation
        if _begins(turns[start:], asked):
            return turns
    if _role(asked[-1]) == "assistant":
        return [*asked, *turns]
    raise DataError(f"The {key} conversation neither begins with the prompt nor continues it.")


def _system(*conversations: Sequence[Any]) -> list[Any]:
    """The system turns of the pair, from whichever of its parts has some."""
    given = [own for turns in conversations if (own := list(takewhile(_is_system, turns)))]
    if any(len(own) != len(given[0]) or not _begins(own, given[0]) for own in given[1:]):
        raise DataError("The prompt, the chosen and the rejected conversation have different system turns.")
    return given[0] if given else []


def _without_system(turns: Sequence[Any]) -> list[Any]:
    return list(dropwhile(_is_system, turns))


def _is_system(turn: Any) -> bool:
    return _role(turn) in ("system", "developer")


def _begins(turns: Sequence[Any], beginning: Sequence[Any]) -> bool:
    return len(turns) >= len(beginning) and all(map(_same, turns, beginning))


def _same(one: Any, other: Any) -> bool:
    """Whether two turns say the same: by role, content (without white space at its ends), calls and reasoning."""
    return bool(one == other or (isinstance(one, dict) and isinstance(other, dict) and _said(one) == _said(other)))


def _said(turn: Message) -> list[Any]:
    content = turn.get("content") or ""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) if isinstance(part, dict) else str(part) for part in content)
    further = {key: turn.get(key) or None for key in ("tool_calls", "function_call", "reasoning_content")}
    return [turn.get("role"), str(content).strip(), json.dumps(further, sort_keys=True, default=str)]


def _role(turn: Any) -> Any:
    return turn.get("role") if isinstance(turn, dict) else None
