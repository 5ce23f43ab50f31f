"""Conversations of an example, checked where luthier takes the example from somebody's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from luthier.contracts.examples import Example
from luthier.plugins.returned import misreturned

_EXPECTED = "examples whose {} is a list of messages, dictionaries with a text as `role` and as `content`"
_CONVERSATIONS = ("messages", "chosen", "rejected")
_TEXTS = (str, list, tuple)
"""What `content` may be: text, or a list of parts as of images."""


def well_formed(example: Example, by: Callable[..., Any]) -> Example:
    """The example, where its conversations are some; PluginError that names the part which gave it, where not."""
    for key in _CONVERSATIONS:
        messages = example.get(key, ())
        if not isinstance(messages, list | tuple):
            raise misreturned(by, _EXPECTED.format(f"`{key}`"), messages)
        for message in messages:
            if not _is_message(message):
                raise misreturned(by, _EXPECTED.format(f"`{key}`"), message)
    if not isinstance(text := example.get("text", ""), str):
        raise misreturned(by, "examples whose `text` is a text", text)
    return example


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and isinstance(message.get("role"), str)
        and (isinstance(message.get("content"), _TEXTS) or bool(message.get("tool_calls")))
    )
