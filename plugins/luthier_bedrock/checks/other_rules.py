"""What a job asks of rows that are no conversations of Bedrock: prompts of RFT, and plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier_bedrock.checks.conversation_rules import reserved_words
from luthier_bedrock.checks.table import Base

ROLES = ("system", "user", "assistant")


def rft_faults(row: Mapping[str, Any]) -> list[str]:
    """What is wrong with a row of reinforcement fine-tuning, a sentence each."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return ["`messages` is missing, empty or no list"]
    found = [one for index, turn in enumerate(messages) for one in _turn(turn, f"messages[{index}]")]
    roles = [turn.get("role") for turn in messages if isinstance(turn, Mapping)]
    if "system" in roles[1:]:
        found.append("a system turn is not the first one")
    if "user" not in roles:
        found.append("no turn is the user's")
    reference = row.get("reference_answer")
    if "reference_answer" in row and (
        not isinstance(reference, str | dict) or not (reference and str(reference).strip())
    ):
        found.append("`reference_answer` is neither text nor an object, or empty")
    if "id" in row and not (isinstance(row["id"], str) and row["id"].strip()):
        found.append("`id` is no text, or empty")
    return [*found, *_tools(row.get("tools"))]


def text_faults(row: Mapping[str, Any], base: Base) -> list[str]:
    """What is wrong with a row of continued pre-training: `text` for Nova, `input` alone for Titan."""
    key = "text" if base.is_nova else "input"
    if not isinstance(row.get(key), str):
        return [f"`{key}` is missing or no text"]
    found = [] if row[key].strip() else [f"`{key}` is empty"]
    others = [name for name in row if name != key] if not base.is_nova else []
    return [*found, *(f"`{name}` is no field of this format" for name in others)]


def _turn(turn: Any, at: str) -> Iterator[str]:
    if not isinstance(turn, Mapping):
        yield f"`{at}` is no object"
        return
    if turn.get("role") not in ROLES:
        yield f"`{at}` has the role {turn.get('role')!r}; the roles are {', '.join(ROLES)}"
    content = turn.get("content")
    if not isinstance(content, str) or not content.strip():
        yield f"the content of `{at}` is no text, or empty"
    elif words := reserved_words(content):
        yield f"`{at}` holds the reserved word{'s' if len(words) > 1 else ''} {', '.join(map(repr, words))}"


def _tools(tools: Any) -> Iterator[str]:
    if tools is None:
        return
    if not isinstance(tools, list) or not tools:
        yield "`tools` is no list, or empty"
        return
    names = []
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
        if not isinstance(function, Mapping):
            yield f"`tools[{index}]` is no function"
            continue
        names.append(function.get("name"))
        for key in ("name", "description"):
            if not isinstance(function.get(key), str) or not function[key].strip():
                yield f"`tools[{index}].function.{key}` is no text, or empty"
        parameters = function.get("parameters")
        if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
            yield f"`tools[{index}].function.parameters` is no JSON Schema of the type object"
        elif not isinstance(parameters.get("properties"), Mapping):
            yield f"`tools[{index}].function.parameters.properties` is no object"
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        yield f"`tools` defines {name!r} twice"
