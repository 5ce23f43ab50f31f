"""Examples as a prompt shows them, checked where luthier takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.plugins.returned import misreturned, returned

_EXPECTED = "an example with `messages`, a list of dictionaries with `role` and `content`"


def shown(prompt: Prompt, example: Example) -> Example:
    """An example as a prompt shows it; PluginError that names the prompt where it gives no conversation for one."""
    given = returned(prompt(example), dict, prompt)
    if example.get("messages") and not _are_messages(messages := given.get("messages")):
        raise misreturned(prompt, _EXPECTED, messages, shown=_described(messages))
    return given


def _are_messages(messages: Any) -> bool:
    return (
        isinstance(messages, list | tuple)
        and len(messages) > 0
        and all(isinstance(one, Mapping) and isinstance(one.get("role"), str) for one in messages)
    )


def _described(messages: Any) -> str:
    if messages is None:
        return "one without"
    if not isinstance(messages, list | tuple):
        return f"a {type(messages).__name__} as `messages`"
    odd = next((one for one in messages if not _are_messages([one])), None)
    return "no message" if not messages else f"{odd!r:.60} among them"
