"""Validation and normalisation of conversations in OpenAI's form."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from luthier.data.formats import loss_switches
from luthier.data.formats.fields import kind
from luthier.errors import DataError

Message = dict[str, Any]
ROLES = ("system", "user", "assistant", "tool")
OTHER_ROLES = {"developer": "system", "function": "tool"}
REASONING = ("reasoning_content", "reasoning", "thinking")
KNOWN = ("role", "content", "weight", "name", "tool_calls", "tool_call_id", "reasoning_content", "function_call")
READ = {*KNOWN, *REASONING, *loss_switches.NAMES, "refusal"}
MEDIA = {"image", "images", "image_url", "audio", "audios", "video", "videos", "files"}
KEY_DROPPED = "message_key_dropped_"
"""A count of messages with a key that is not read is called by this and the key."""


def conversation(
    turns: Any, counts: Counter[str], *, at: str = "messages", answered: bool = True, system: Sequence[Any] = ()
) -> list[Message]:
    """The normalised messages of a conversation; DataError for an invalid one.

    `system` are the turns of a column of its own, before the others; one that the conversation begins with is not said
    twice.

    Refused: a role other than system, user, assistant and tool; content that is a number, an object, blank, or null
    without tool calls; content parts that are not text; images, audio and video; a system turn after another turn; two
    consecutive assistant turns whose weights differ; a tool turn without a tool call before it; a weight that is
    negative or not finite; keys that choose or weigh parts of a turn; no assistant turn, or none with a weight above 0,
    unless `answered` is false.

    A turn's `weight` is read under the names of `luthier.data.formats.loss_switches` too. The `refusal` of a turn
    without content is its content.

    Normalised, and counted under these names: `role_developer` and `role_function` (they become system and tool),
    `content_parts_joined`, `empty_system_dropped`, `system_turns_merged`, `user_turns_merged` and
    `assistant_turns_merged` (joined by a blank line), `trailing_turns_dropped` (turns after the last assistant turn,
    on which nothing is trained), `function_call_converted`, `refusal_as_content`, `message_key_dropped_<key>` (a key
    that is not read; sources warn of it by name).
    `starts_with_assistant` is only counted. White space inside turns is not changed.
    """
    if not isinstance(turns, (list, tuple)):
        hint = "Lists in a text must be JSON, as json.dumps writes them." if isinstance(turns, str) else ""
        raise DataError(f"`{at}` is {kind(turns)}, where a list of turns is expected.", hint=hint)
    if not turns:
        raise DataError(f"`{at}` is an empty list.")
    messages: list[Message] = []
    numbered = [(f"{at}[{index}]", turn) for index, turn in enumerate(turns)]
    if system and isinstance(turns[0], dict) and turns[0].get("role") == "system":
        system = [turn for turn in system if turn["content"] != turns[0].get("content")]
    for place, turn in [*(("system", turn) for turn in system), *numbered]:
        message = _message(turn, place, counts)
        if message["role"] == "system" and not message["content"].strip():
            counts["empty_system_dropped"] += 1
        else:
            _append(messages, message, place, counts)
    _check_tools(messages, at)
    answers = [message for message in messages if message["role"] == "assistant"]
    if answered:
        if not answers:
            raise DataError(
                f"`{at}` has no assistant turn, so there is nothing to learn from.",
                hint="For prompts without answers choose data/format=messages data.format.answered=false.",
            )
        if all(message.get("weight") == 0 for message in answers):
            raise DataError(f"Every assistant turn of `{at}` has the weight 0, so there is nothing to learn from.")
        while messages[-1]["role"] != "assistant":
            messages.pop()
            counts["trailing_turns_dropped"] += 1
    if not any(message["role"] != "system" for message in messages):
        raise DataError(f"`{at}` has nothing but a system turn.")
    counts["starts_with_assistant"] += next(m["role"] for m in messages if m["role"] != "system") == "assistant"
    return messages


def _message(turn: Any, at: str, counts: Counter[str]) -> Message:
    if not isinstance(turn, dict):
        raise DataError(f"`{at}` is {kind(turn)}, where a turn with role and content is expected.")
    given = {key: value for key, value in turn.items() if value is not None or key in ("role", "content")}
    message: Message = {"role": _role(given, at, counts)}
    if "function_call" in given:
        given["tool_calls"] = [{"function": given.pop("function_call")}]
        counts["function_call_converted"] += 1
    if given.get("tool_calls"):
        message["tool_calls"] = _tool_calls(given["tool_calls"], message["role"], at)
    _take_refusal(given, message, counts)
    message["content"] = _content(given, message, at, counts)
    if (weight := loss_switches.message_weight(given, message["role"], at)) is not None:
        message["weight"] = weight
    message.update(
        {key: _label(given[key], f"The {key} of `{at}`") for key in ("name", "tool_call_id") if key in given}
    )
    if reasoning := _reasoning(given, message["role"], at):
        message["reasoning_content"] = reasoning
    for key in [key for key in given if key not in READ]:
        _not_read(key, given[key], at, counts)
    return message


def _take_refusal(given: Message, message: Message, counts: Counter[str]) -> None:
    """The refusal of a turn without content becomes its content, as OpenAI's models answer with one or the other."""
    refusal = given.get("refusal")
    if message["role"] == "assistant" and isinstance(refusal, str) and refusal.strip() and not given.get("content"):
        given["content"] = refusal
        counts["refusal_as_content"] += 1
    elif refusal:
        counts[f"{KEY_DROPPED}refusal"] += 1


def _not_read(key: str, value: Any, at: str, counts: Counter[str]) -> None:
    """Count a key that is not read; DataError for one like a known one, and for images, audio and video."""
    if near := get_close_matches(key, (*KNOWN, *loss_switches.NAMES), n=1, cutoff=0.8):
        raise DataError(f"`{at}` has the key {key!r}; did you mean {near[0]!r}?")
    if value in ("", [], {}):
        return
    if key in MEDIA:
        raise DataError(f"`{at}` has {key}; only text can be trained on.")
    counts[f"{KEY_DROPPED}{key}"] += 1


def _reasoning(given: Message, role: str, at: str) -> str:
    """The reasoning of an answer under any of its names; an empty text where it has none."""
    found = {key: given[key] for key in REASONING if given.get(key) not in (None, "")}
    for key, value in found.items():
        if not isinstance(value, str):
            raise DataError(f"The {key} of `{at}` is {kind(value)}, where text is expected.")
        if role != "assistant" and value.strip():
            raise DataError(
                f"`{at}` has {key} in a turn of the role {role}; only the assistant's turns have reasoning."
            )
    texts = list(dict.fromkeys(value for value in found.values() if value.strip()))
    if len(texts) > 1:
        names = " and ".join(key for key, value in found.items() if value.strip())
        raise DataError(f"`{at}` has {names} with different texts; leave one of them.")
    return texts[0] if texts and role == "assistant" else ""


def _role(given: Message, at: str, counts: Counter[str]) -> str:
    role = given.get("role")
    if role is not None and not isinstance(role, str):
        raise DataError(f"The role of `{at}` is {kind(role)}, where text is expected.")
    if role in OTHER_ROLES:
        counts[f"role_{role}"] += 1
        return OTHER_ROLES[str(role)]
    if role not in ROLES:
        found = f"the role {role!r}" if role is not None else "no role"
        near = get_close_matches(str(role).lower(), ROLES, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"`{at}` has {found}; the roles are {', '.join(ROLES)}.", hint=hint)
    return str(role)


def _content(given: Message, message: Message, at: str, counts: Counter[str]) -> str:
    content, role = given.get("content"), message["role"]
    if isinstance(content, list):
        for part in content:
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                what = f"is of the type {part.get('type', 'unknown')}" if isinstance(part, dict) else f"is {kind(part)}"
                raise DataError(
                    f"`{at}` has a content part that {what}; only parts with the type text and a `text` can be read."
                )
        content = "".join(part["text"] for part in content)
        counts["content_parts_joined"] += 1
    if content is None and "tool_calls" in message:
        return ""
    may_be_blank = role in ("system", "tool") or "tool_calls" in message
    if not isinstance(content, str) or not (content.strip() or may_be_blank):
        found = "missing" if "content" not in given else kind(content)
        raise DataError(f"The content of `{at}` ({role}) is {found}, where text is expected.")
    return content


def _tool_calls(calls: Any, role: str, at: str) -> list[Message]:
    if role != "assistant" or not isinstance(calls, list):
        raise DataError(f"`{at}` has tool calls that are {kind(calls)}, in a turn of the role {role}.")
    normalised = []
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise DataError(f"`{at}.tool_calls[{index}]` names no function.")
        arguments = {} if function.get("arguments") is None else function["arguments"]
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except (ValueError, RecursionError):
                raise DataError(
                    f"The arguments of `{at}.tool_calls[{index}]` are not JSON: {arguments[:100]!r}."
                ) from None
        if not isinstance(arguments, dict):
            raise DataError(f"The arguments of `{at}.tool_calls[{index}]` are {kind(arguments)}, not an object.")
        made: Message = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        normalised.append(made)
        if call.get("id") is not None:
            made["id"] = _label(call["id"], f"The id of `{at}.tool_calls[{index}]`")
    return normalised


def _label(value: Any, what: str) -> str | None:
    """A name or an id, which may be written as a number; DataError for anything else."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{what} is {kind(value)}, where text is expected.")


def _append(messages: list[Message], message: Message, at: str, counts: Counter[str]) -> None:
    """Append a turn, or merge it with the previous one if that has the same role."""
    role, before = message["role"], messages[-1] if messages else None
    if role == "system" and any(other["role"] != "system" for other in messages):
        raise DataError(f"`{at}` is a system turn in the middle of the conversation; only the first turn may be one.")
    if before is None or before["role"] != role or role == "tool":
        messages.append(message)
        return
    rest, rest_before = ({k: v for k, v in m.items() if k not in ("role", "content")} for m in (message, before))
    if rest != rest_before or "tool_calls" in rest:
        raise DataError(f"`{at}` is a second {role} turn in a row that differs from the first in more than its text.")
    before["content"] += f"\n\n{message['content']}"
    counts[f"{role}_turns_merged"] += 1


def _check_tools(messages: list[Message], at: str) -> None:
    """DataError for a tool turn that answers no call of the assistant turn before it."""
    open_calls: set[str | None] | None = None
    for message in messages:
        if message["role"] == "assistant":
            open_calls = {call.get("id") for call in message["tool_calls"]} if "tool_calls" in message else None
        elif message["role"] == "user":
            open_calls = None
        elif message["role"] == "tool":
            wanted = message.get("tool_call_id")
            if open_calls is None or (wanted is not None and None not in open_calls and wanted not in open_calls):
                raise DataError(f"`{at}` has a tool turn that answers no tool call of the turn before ({wanted!r}).")
