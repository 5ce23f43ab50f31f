"""`bedrock-conversation-2024` both ways: blocks of Converse, and turns in OpenAI's form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from luthier.api import BEDROCK_VERSION, DataError

Row = dict[str, Any]
MEDIA = ("image", "video", "document", "audio")
"""Kinds of blocks that refer to a file."""
OTHER = "bedrock"
"""The type of a content part that holds a block which OpenAI's form has no word for."""


def is_conversation(row: Mapping[str, Any]) -> bool:
    """Whether a row is of Bedrock's form: its version says so, or its first turn has blocks of Converse."""
    messages, version = row.get("messages"), row.get("schemaVersion")
    if not isinstance(messages, list):
        return False
    if isinstance(version, str) and version.startswith("bedrock-"):
        return True
    first = messages[0] if messages else None
    content = first.get("content") if isinstance(first, Mapping) else None
    if not isinstance(content, list):
        return False
    return all(isinstance(block, Mapping) and "type" not in block for block in content)


def read_conversation(row: Mapping[str, Any]) -> Row:
    """`messages` and `tools` of a row of Bedrock: a tool result is a turn of the role tool, media are content parts.

    The text blocks of a turn are joined, as luthier trains on them. DataError for a row that is malformed.
    """
    system = _listed(row.get("system", []), "system")
    turns = [{"role": "system", "content": _content(system, "system")}] if system else []
    for index, turn in enumerate(_listed(row.get("messages"), "messages")):
        turns += _turns(turn, f"messages[{index}]")
    read: Row = {"messages": turns}
    if (config := row.get("toolConfig")) is not None:
        tools = _listed(_object(config, "toolConfig").get("tools"), "toolConfig.tools")
        read["tools"] = [_definition(tool, f"toolConfig.tools[{index}]") for index, tool in enumerate(tools)]
    return read


def write_conversation(row: Mapping[str, Any]) -> Row:
    """The row of Bedrock with the `messages` and `tools` of a row; DataError where a turn cannot be said there."""
    messages = with_ids(row)
    system = [block for turn in messages if turn.get("role") == "system" for block in _blocks(turn, "system")]
    written: Row = {"schemaVersion": BEDROCK_VERSION, **({"system": system} if system else {})}
    turns: list[Row] = []
    for index, message in enumerate(messages):
        if message.get("role") == "system":
            continue
        role, blocks = _said(message, f"messages[{index}]")
        if turns and turns[-1]["role"] == role == "user":  # a question beside the results of tools is one turn
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    written["messages"] = turns
    if row.get("tools"):
        written["toolConfig"] = {"tools": [_tool_spec(tool) for tool in _listed(row["tools"], "tools")]}
    return written


def turns_of(row: Mapping[str, Any]) -> list[Row]:
    """The turns of a row in OpenAI's form, each an object whose tool calls are objects; DataError otherwise."""
    turns = _listed(row.get("messages"), "messages")
    for index, turn in enumerate(turns):
        calls = _object(turn, f"messages[{index}]").get("tool_calls")
        if calls is not None and not (isinstance(calls, list) and all(isinstance(call, Mapping) for call in calls)):
            raise DataError(f"The tool calls of `messages[{index}]` are no list of objects.")
    return [dict(turn) for turn in turns]


def with_ids(row: Mapping[str, Any]) -> list[Row]:
    """The turns with an id on each tool call and each result, which OpenAI's form may leave out; by their order."""
    turns = turns_of(row)
    waiting: list[Any] = []
    for index, turn in enumerate(turns):
        if turn.get("tool_calls"):
            turn["tool_calls"] = [
                {**call, "id": call.get("id") or f"tool_{index}_{number}"}
                for number, call in enumerate(turn["tool_calls"])
            ]
            waiting = [call["id"] for call in turn["tool_calls"]]
        elif turn.get("role") == "tool":
            if not turn.get("tool_call_id") and waiting:
                turn["tool_call_id"] = waiting[0]
            waiting = [one for one in waiting if one != turn.get("tool_call_id")]
    return turns


def _turns(turn: Any, at: str) -> list[Row]:
    """One turn of Bedrock; its tool results come before it, each as a turn of its own."""
    role = _object(turn, at).get("role")
    if role not in ("user", "assistant"):
        raise DataError(f"`{at}` has the role {role!r}; Bedrock's roles are user and assistant.")
    rest: list[Row] = []
    results: list[Row] = []
    calls: list[Row] = []
    reasoning: list[str] = []
    for index, block in enumerate(_listed(turn.get("content"), f"{at}.content")):
        place = f"{at}.content[{index}]"
        name = _name_of(block, place)
        if name == "toolUse":
            use = _object(block[name], place)
            function = {"name": use.get("name"), "arguments": use.get("input", {})}
            calls.append({"id": use.get("toolUseId"), "type": "function", "function": function})
        elif name == "toolResult":
            result = _object(block[name], place)
            pieces = [_piece(piece, place) for piece in _listed(result.get("content"), f"{place}.toolResult.content")]
            results.append({"role": "tool", "tool_call_id": result.get("toolUseId"), "content": "\n".join(pieces)})
        elif name == "reasoningContent" and isinstance(text := _reasoning_text(block), str):
            reasoning.append(text)
        else:
            rest.append(block)
    if results and not (rest or calls or reasoning):
        return results
    message: Row = {"role": role, "content": _content(rest, at) if rest else ""}
    if reasoning:
        message["reasoning_content"] = "\n\n".join(reasoning)
    if calls:
        message["tool_calls"] = calls
    return [*results, message]


def _content(blocks: Sequence[Any], at: str) -> Any:
    """A text where all blocks are texts, else a list of parts."""
    parts = [_part(block, f"{at}[{index}]") for index, block in enumerate(blocks)]
    return "".join(part["text"] for part in parts) if all(part["type"] == "text" for part in parts) else parts


def _part(block: Any, at: str) -> Row:
    name = _name_of(block, at)
    if name == "text":
        if not isinstance(block["text"], str):
            raise DataError(f"`{at}.text` is no text.")
        return {"type": "text", "text": block["text"]}
    return {"type": name, name: block[name]} if name in MEDIA else {"type": OTHER, "block": block}


def _said(message: Mapping[str, Any], at: str) -> tuple[str, list[Row]]:
    """The role and the blocks of a turn."""
    role = message.get("role")
    if role == "tool":
        text = message.get("content")
        pieces = [{"text": text}] if isinstance(text, str) else _blocks(message, at)
        return "user", [{"toolResult": {"toolUseId": message.get("tool_call_id"), "content": pieces}}]
    if role not in ("user", "assistant"):
        raise DataError(f"`{at}` has the role {role!r}, which Bedrock's conversations do not have.")
    reasoning = message.get("reasoning_content")
    before = [{"reasoningContent": {"reasoningText": {"text": reasoning}}}] if reasoning else []
    calls = [_tool_use(call, at) for call in message.get("tool_calls") or ()]
    blocks = [*before, *_blocks(message, at, may_be_empty=bool(calls)), *calls]
    return str(role), blocks


def _blocks(message: Mapping[str, Any], at: str, *, may_be_empty: bool = False) -> list[Row]:
    content = message.get("content")
    if isinstance(content, str) or (content is None and may_be_empty):
        return [{"text": content}] if content or not may_be_empty else []
    if not isinstance(content, list):
        raise DataError(f"The content of `{at}` is neither a text nor a list of parts.")
    return [_block(part, f"{at}.content[{index}]") for index, part in enumerate(content)]


def _block(part: Any, at: str) -> Row:
    kind = _object(part, at).get("type")
    if kind == "text":
        return {"text": part.get("text")}
    if kind in MEDIA and isinstance(part.get(kind), Mapping):
        return {kind: part[kind]}
    if kind == OTHER and isinstance(part.get("block"), Mapping):
        return dict(part["block"])
    raise DataError(
        f"`{at}` is a part of the type {kind!r}, which cannot be written as a block of Bedrock.",
        hint='Media are written as {"type": "image", "image": {"format": "png", "source": {"s3Location": …}}}.',
    )


def _tool_use(call: Any, at: str) -> Row:
    function = _object(_object(call, at).get("function"), f"{at}.tool_calls")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            raise DataError(f"The arguments of a tool call of `{at}` are not JSON.") from None
    return {"toolUse": {"toolUseId": call.get("id"), "name": function.get("name"), "input": arguments}}


def _definition(tool: Any, at: str) -> Row:
    spec = _object(_object(tool, at).get("toolSpec"), f"{at}.toolSpec")
    schema = _object(spec.get("inputSchema", {}), f"{at}.toolSpec.inputSchema")
    function = {"name": spec.get("name"), "description": spec.get("description", ""), "parameters": schema.get("json")}
    return {"type": "function", "function": function}


def _tool_spec(tool: Any) -> Row:
    function = _object(_object(tool, "tools").get("function", tool), "tools")
    about = {"description": function["description"]} if function.get("description") else {}
    schema = {"json": function.get("parameters") or {"type": "object"}}
    return {"toolSpec": {"name": function.get("name"), **about, "inputSchema": schema}}


def _piece(piece: Any, at: str) -> str:
    if "json" in _object(piece, at):
        return json.dumps(piece["json"], ensure_ascii=False)
    if isinstance(piece.get("text"), str):
        return str(piece["text"])
    return json.dumps(piece, ensure_ascii=False)


def _reasoning_text(block: Mapping[str, Any]) -> Any:
    content = block["reasoningContent"]
    inner = content.get("reasoningText") if isinstance(content, Mapping) else None
    return inner.get("text") if isinstance(inner, Mapping) else None


def _name_of(block: Any, at: str) -> str:
    if not isinstance(block, Mapping) or len(block) != 1:
        raise DataError(f'`{at}` is no block of one kind, such as {{"text": …}}.')
    return str(next(iter(block)))


def _listed(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f"`{at}` is no list." if value is not None else f"The row has no `{at}`.")
    return value


def _object(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DataError(f"`{at}` is no object.")
    return value
