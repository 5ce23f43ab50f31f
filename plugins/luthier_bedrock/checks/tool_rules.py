"""What a job asks of tools: each use has a definition, each result a use before it, each id is used once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def faults(row: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the tools of a conversation of the right shape, a sentence each."""
    tools = [tool["toolSpec"] for tool in (row.get("toolConfig") or {}).get("tools", ()) if "toolSpec" in tool]
    yield from _definitions(tools)
    known = {tool["name"] for tool in tools}
    uses: set[str] = set()
    results: set[str] = set()
    for index, turn in enumerate(row["messages"]):
        for number, block in enumerate(turn["content"]):
            at = f"messages[{index}].content[{number}]"
            if "toolUse" in block:
                yield from _use(block["toolUse"], at, turn["role"], known, uses)
                uses.add(block["toolUse"]["toolUseId"])
            if "toolResult" in block:
                yield from _result(block["toolResult"], at, turn["role"], uses, results)
                results.add(block["toolResult"]["toolUseId"])
    for missing in sorted(uses - results - _last_uses(row)):
        yield f"the tool use {missing!r} has no result in the turn after it"


def _definitions(tools: list[Any]) -> Iterator[str]:
    names = [tool["name"] for tool in tools]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"`toolConfig` defines the tool {name!r} twice"
    for tool in tools:
        if not str(tool.get("description") or "").strip():
            yield f"the tool {tool['name']!r} has no description"
        schema = tool["inputSchema"].get("json")
        if not isinstance(schema, Mapping) or "type" not in schema:
            yield f"the inputSchema of the tool {tool['name']!r} is no JSON Schema with a type"


def _use(use: Mapping[str, Any], at: str, role: str, known: set[str], uses: set[str]) -> Iterator[str]:
    if role == "user":
        yield f"`{at}` is a tool use in a turn of the user"
    if use["name"] not in known:
        yield f"`{at}` uses the tool {use['name']!r}, which `toolConfig` does not define"
    if use["toolUseId"] in uses:
        yield f"`{at}` has the toolUseId {use['toolUseId']!r} of an earlier use"
    if not isinstance(use["input"], Mapping):
        yield f"the input of `{at}` is no object"


def _result(result: Mapping[str, Any], at: str, role: str, uses: set[str], results: set[str]) -> Iterator[str]:
    if role == "assistant":
        yield f"`{at}` is a tool result in a turn of the assistant"
    if result["toolUseId"] not in uses:
        yield f"`{at}` is the result of {result['toolUseId']!r}, which no turn before it uses"
    if result["toolUseId"] in results:
        yield f"`{at}` is a second result of {result['toolUseId']!r}"
    if not result["content"]:
        yield f"the result `{at}` is empty"


def _last_uses(row: Mapping[str, Any]) -> set[str]:
    """The uses of the last turn, whose results nobody has seen yet."""
    return {
        block["toolUse"]["toolUseId"]
        for turn in row["messages"][-1:]
        for block in turn["content"]
        if "toolUse" in block
    }
