"""Functions of an example: its prompt, its answer, its text, and the keys of deduplication and splits."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.contracts.conversation import Conversation, ToolConversation

if TYPE_CHECKING:
    from collections.abc import Callable

    from luthier.contracts.examples import Example

_TURNS = ("messages", "chosen", "rejected")


def prompt_of(example: Example) -> list[dict[str, Any]]:
    """The messages before the final assistant turn: the prompt from which a model generates its own answer."""
    messages = list(example.get("messages", ()))
    while messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return messages


def answer_of(example: Example) -> str:
    """The content of the last message if it is an assistant turn, else an empty string."""
    messages = example.get("messages", ())
    return str(messages[-1]["content"]) if messages and messages[-1]["role"] == "assistant" else ""


def conversation_of(example: Example, messages: Sequence[dict[str, Any]] | None = None) -> Conversation:
    """The messages of an example, or those given, with its tools where it has some."""
    messages = example.get("messages", []) if messages is None else messages
    return ToolConversation(messages, example["tools"]) if example.get("tools") else list(messages)


def example_of(conversation: Conversation | Example) -> Example:
    """A conversation as an example: its `messages`, and its `tools` where it has some; an example is itself."""
    if isinstance(conversation, Mapping):
        return dict(conversation)
    tools = {"tools": conversation.tools} if isinstance(conversation, ToolConversation) else {}
    return {"messages": list(conversation), **tools}


def last_question(example: Example) -> int | None:
    """The index of the last user turn before the answer; None where there is no user turn."""
    prompt = prompt_of(example)
    return next((at for at in reversed(range(len(prompt))) if prompt[at]["role"] == "user"), None)


def example_text(example: Example) -> str:
    """The whole text of an example: its `text`, or the contents of its messages and answers, joined by line breaks."""
    if "text" in example:
        return str(example["text"])
    turns = [turn for key in _TURNS for turn in example.get(key, ())]
    return "\n".join(str(turn["content"]) for turn in turns)


def with_text(example: Example, change: Callable[[str], str]) -> Example:
    """A new example in which `change` is applied to its text and to the content of each message."""
    changed: Example = {**example}
    for key in _TURNS:
        if key in example:
            changed[key] = [{**turn, "content": change(turn["content"])} for turn in example[key]]
    if "text" in example:
        changed["text"] = change(example["text"])
    return changed


def text_key(example: Example) -> bytes:
    """A hash of 16 bytes, equal for examples with the same conversation, answers, text, label and tools.

    White space and the form of Unicode are normalised; further columns (an id, a vote) and weights are not included.
    """
    turns = [_turns(example.get(key, ())) for key in _TURNS]
    return _digest(
        [*turns, *(normalised(str(example.get(key, ""))) for key in ("text", "label")), example.get("tools")]
    )


def prompt_key(example: Example) -> bytes:
    """A hash of 16 bytes, equal for examples with the same prompt, whatever their answers and system turns.

    It is computed from the `text` where there is one (so that the instruction of a classification may change), else
    from the turns of user, tools and assistant before the last answer.
    """
    if "text" in example:
        return _digest(normalised(str(example["text"])))
    turns = [turn for turn in prompt_of(example) if turn["role"] != "system"]
    return _digest(_turns(turns)) if turns else text_key(example)


def _turns(messages: Any) -> list[Any]:
    return [[turn["role"], normalised(turn["content"]), turn.get("tool_calls")] for turn in messages]


def normalised(text: str) -> str:
    """The text in Unicode's form NFC, with single blanks for white space."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFC", text)).split())


def _digest(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def message_text(message: dict[str, Any]) -> str:
    """The content of a message; where that is a list of parts, its text parts concatenated."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))
