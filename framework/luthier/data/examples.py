"""Look at an example: its prompt, its answer, and keys by which equal ones are known."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from luthier.contracts.examples import Example

_TURNS = ("messages", "chosen", "rejected")


def prompt_of(example: Example) -> list[dict[str, Any]]:
    """The messages up to the last answer: what a model is shown that shall answer itself."""
    messages = list(example.get("messages", ()))
    while messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return messages


def answer_of(example: Example) -> str:
    """The text of the last message where that is an answer, else an empty string."""
    messages = example.get("messages", ())
    return str(messages[-1]["content"]) if messages and messages[-1]["role"] == "assistant" else ""


def last_question(example: Example) -> int | None:
    """The place of the user's last turn before the answer; None where the user says nothing."""
    asked = prompt_of(example)
    return next((at for at in reversed(range(len(asked))) if asked[at]["role"] == "user"), None)


def example_text(example: Example) -> str:
    """All that an example says as one text: its `text`, or what its messages and its answers say, line by line."""
    if "text" in example:
        return str(example["text"])
    turns = [turn for key in _TURNS for turn in example.get(key, ())]
    return "\n".join(str(turn["content"]) for turn in turns)


def with_text(example: Example, change: Callable[[str], str]) -> Example:
    """The example with everything that it says changed."""
    changed: Example = {**example}
    for key in _TURNS:
        if key in example:
            changed[key] = [{**turn, "content": change(turn["content"])} for turn in example[key]]
    if "text" in example:
        changed["text"] = change(example["text"])
    return changed


def content_key(example: Example) -> bytes:
    """16 bytes that two examples share if they say the same: conversation, answers, text, label and tools.

    White space and the form of Unicode do not count; further columns (an id, a date) and weights do not either.
    """
    said = [_turns(example.get(key, ())) for key in _TURNS]
    return _digest([*said, *(_plain(str(example.get(key, ""))) for key in ("text", "label")), example.get("tools")])


def prompt_key(example: Example) -> bytes:
    """16 bytes that two examples share if they ask the same, whatever they answer and whatever the system turn says.

    It is the text where there is one (so that a classification's instruction may change), else what the user and the
    tools say before the last answer.
    """
    if "text" in example:
        return _digest(_plain(str(example["text"])))
    asked = [turn for turn in prompt_of(example) if turn["role"] != "system"]
    return _digest(_turns(asked)) if asked else content_key(example)


def _turns(messages: Any) -> list[Any]:
    return [[turn["role"], _plain(turn["content"]), turn.get("tool_calls")] for turn in messages]


def _plain(said: str) -> str:
    return " ".join((said if said.isascii() else unicodedata.normalize("NFC", said)).split())


def _digest(value: Any) -> bytes:
    written = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def message_text(message: dict[str, Any]) -> str:
    """A message's text; the text parts one after another where the content is a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))
