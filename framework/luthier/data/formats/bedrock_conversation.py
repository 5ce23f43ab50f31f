"""Amazon Bedrock's conversation format."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import Message, conversation
from luthier.data.formats.fields import further_fields, kind
from luthier.data.formats.format import Format
from luthier.data.formats.reserved import count_reserved
from luthier.data.formats.tools import tools
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

BEDROCK_VERSION = "bedrock-conversation-2024"
"""The `schemaVersion` of Amazon Bedrock's conversation format."""
MEDIA = ("image", "video", "document", "audio")


@dataclass(frozen=True)
class BedrockConversation(Format):
    """Amazon Bedrock's conversation format, `schemaVersion` bedrock-conversation-2024.

    Blocks of text, reasoning, tool use and tool results are read; `toolConfig` holds the tool definitions; a tool
    result becomes a turn of the role tool. Images, videos and documents are refused: only text is trained on. Turns
    with strings for which a job on Bedrock fails ("User:", "[EOS]", …) are counted as `reserved_strings`. Messages are
    normalised as by `data/format=messages`. `answered` false allows prompts without an assistant
    turn, such as the input of a distillation job.
    """

    answered: bool = True

    name = "bedrock_conversation"
    """As `data/format` names it."""
    expects = "`schemaVersion`, and `messages` whose content is a list of blocks"
    """What a row must hold, as errors say it."""
    keys = (("schemaVersion", "messages"),)
    """Sets of keys by which a row is recognised."""

    def recognises(self, row: dict[str, Any]) -> str:
        """Why the row is of this format, an empty string where it is not."""
        version = row.get("schemaVersion")
        return f"`schemaVersion` is {version}" if isinstance(version, str) and version.startswith("bedrock-") else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        """The example of a row; DataError for another version, for media and for malformed blocks."""
        if row.get("schemaVersion") != BEDROCK_VERSION:
            raise DataError(f"`schemaVersion` is {row.get('schemaVersion')!r}, where {BEDROCK_VERSION!r} is expected.")
        example = further_fields(row, ("schemaVersion", "system", "messages", "toolConfig"), counts)
        system = [{"role": "system", "content": _text(block, "system")} for block in _list(row.get("system"), "system")]
        turns = [
            message
            for index, turn in enumerate(_list(row.get("messages"), "messages"))
            for message in _turns(turn, f"messages[{index}]")
        ]
        example["messages"] = conversation([*system, *turns], counts, answered=self.answered)
        if row.get("toolConfig"):
            given = _object(row["toolConfig"], "toolConfig").get("tools")
            example["tools"] = tools([_definition(tool) for tool in _list(given, "toolConfig.tools")])
        count_reserved(example["messages"], counts)
        return example


def _list(value: Any, at: str) -> list[Any]:
    if value is None and at == "system":
        return []
    if not isinstance(value, list):
        raise DataError(f"`{at}` is {kind(value)}, where a list is expected.")
    return value


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"`{at}` is {kind(value)}, where an object is expected.")
    return value


def _text(block: Any, at: str) -> str:
    if not isinstance(block, dict) or not isinstance(block.get("text"), str):
        raise DataError(f"`{at}` has a block without `text`.")
    return str(block["text"])


def _turns(turn: Any, at: str) -> list[Message]:
    """One turn of Bedrock in OpenAI's form; its tool results come before it, each as a turn of its own."""
    if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
        found = turn.get("role") if isinstance(turn, dict) else kind(turn)
        raise DataError(f"`{at}` has the role {found!r}; Bedrock's roles are user and assistant.")
    message: Message = {key: value for key, value in turn.items() if key != "content"}
    texts: list[str] = []
    calls: list[Message] = []
    results: list[Message] = []
    for index, block in enumerate(_list(turn.get("content"), f"{at}.content")):
        _read_block(block, f"{at}.content[{index}]", message, texts, calls, results)
    if calls:
        message["tool_calls"] = calls
    message["content"] = "".join(texts) if texts else None
    return [*results, message] if texts or calls or not results else results


def _read_block(
    block: Any, at: str, message: Message, texts: list[str], calls: list[Message], results: list[Message]
) -> None:
    names = list(block) if isinstance(block, dict) else [kind(block)]
    media = next((name for name in names if name in MEDIA), None)
    if media:
        raise DataError(f"`{at}` is a block of the kind {media}; only text can be trained on.")
    if names == ["text"]:
        texts.append(_text(block, at))
    elif names == ["reasoningContent"]:
        reasoning = _object(block["reasoningContent"], f"{at}.reasoningContent").get("reasoningText")
        before = f"{message['reasoning_content']}\n\n" if "reasoning_content" in message else ""
        message["reasoning_content"] = before + _text(reasoning, f"{at}.reasoningContent")
    elif names == ["toolUse"]:
        use = _object(block["toolUse"], f"{at}.toolUse")
        function = {"name": use.get("name"), "arguments": use.get("input", {})}
        calls.append({"id": use.get("toolUseId"), "type": "function", "function": function})
    elif names == ["toolResult"]:
        result = _object(block["toolResult"], f"{at}.toolResult")
        pieces = [_result(piece, at) for piece in _list(result.get("content"), f"{at}.toolResult.content")]
        results.append({"role": "tool", "tool_call_id": result.get("toolUseId"), "content": "\n".join(pieces)})
    else:
        raise DataError(f"`{at}` is a block of the kind {', '.join(names)}, which is not known.")


def _result(piece: Any, at: str) -> str:
    if isinstance(piece, dict) and "json" in piece:
        return json.dumps(piece["json"], ensure_ascii=False)
    return _text(piece, f"{at}.toolResult")


def _definition(tool: Any) -> dict[str, Any]:
    spec = _object(_object(tool, "toolConfig.tools").get("toolSpec"), "toolConfig.tools.toolSpec")
    schema = _object(spec.get("inputSchema", {}), "toolConfig.tools.toolSpec.inputSchema")
    definition = {"name": spec.get("name"), "description": spec.get("description", "")}
    return {**definition, "parameters": schema.get("json", {})}
