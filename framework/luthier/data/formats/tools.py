"""Tool definitions in OpenAI's form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from luthier.data.formats.fields import kind
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


def tools(given: Any) -> list[dict[str, Any]]:
    """The tool definitions `{"type": "function", "function": {"name", "description"?, "parameters"?}}`.

    The list may be JSON text, and bare functions are wrapped. DataError for anything else.
    """
    if isinstance(given, str):
        try:
            given = json.loads(given or "[]")
        except (ValueError, RecursionError):
            raise DataError("`tools` is text that is not JSON.") from None
    if not isinstance(given, list):
        raise DataError(f"`tools` is {kind(given)}, where a list of definitions is expected.")
    return [_definition(tool, index) for index, tool in enumerate(given)]


def with_tools(example: Example, row: dict[str, Any]) -> Example:
    """The example with the definitions in the row's column `tools`; the example itself where there are none."""
    return {**example, "tools": tools(row["tools"])} if row.get("tools") else example


def _definition(tool: Any, index: int) -> dict[str, Any]:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise DataError(f"`tools[{index}]` names no function.")
    return {"type": "function", "function": {key: value for key, value in function.items() if key != "type"}}
