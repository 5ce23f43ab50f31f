"""How one chat template takes those parts of a message in which templates differ from OpenAI's form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from luthier.data.reasoning import inline_reasoning
from luthier.errors import DataError

Message = dict[str, Any]
Render = Callable[[list[Message], Any], str]
"""Text of messages and tools; DataError where the template refuses them."""

THOUGHT, SAID, ASKED = "qthoughtz", "qanswerz", "qquestionz"
_NAME, _KEY, _VALUE, _RESULT = "qnamez", "qkeyz", "qvaluez", "qresultz"
_ID = "call_Qx7Rw2Lk9Zt4Vn8Bm3Jd6Hp1"  # as OpenAI gives them
_SHORT = re.compile(r"[A-Za-z0-9]{9}")  # as Mistral's templates want them
_READS_THINK = re.compile(r"""split\(\s*['"]</think>|['"]</think>['"]\s+in\b""")
_QUESTION = {"role": "user", "content": ASKED}
_SCHEMA = {"type": "object", "properties": {_KEY: {"type": "string", "description": "d"}}, "required": [_KEY]}
_TOOLS = [{"type": "function", "function": {"name": _NAME, "description": "d", "parameters": _SCHEMA}}]


def called_function(call: Message) -> dict[str, Any]:
    """The name and the arguments of a call; arguments that are JSON text as the object that it says."""
    function = dict(call.get("function") or call)
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = json.loads(function["arguments"] or "{}")
        except ValueError:
            return function
    return function


@dataclass(frozen=True, slots=True)
class CallForm:
    """How a template takes tool calls: arguments as an object or as text, no content as null or as empty text.

    `short_ids`: ids have nine letters and digits, and none is missing. `names`: a result has the name of its tool.
    """

    text_arguments: bool = False
    empty_content: bool = False
    short_ids: bool = False
    names: bool = False

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        """The messages in this form; those without tool calls and results are unchanged."""
        formed: list[Message] = []
        waiting: list[tuple[str | None, str]] = []  # the id and the name of each call without a result
        for number, message in enumerate(messages):
            if message.get("tool_calls"):
                calls = [self._call(call, f"{number}.{at}") for at, call in enumerate(message["tool_calls"])]
                waiting = [(call.get("id"), call["function"]["name"]) for call in calls]
                content = message.get("content") or ("" if self.empty_content else None)  # text, or parts
                formed.append({**message, "content": content, "tool_calls": calls})
            elif message["role"] == "tool":
                formed.append(self._result(message, waiting))
            else:
                formed.append(message)
        return formed

    def _call(self, call: Message, place: str) -> Message:
        function = called_function(call)
        if self.text_arguments and not isinstance(function.get("arguments"), str):
            function["arguments"] = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
        ids = {"id": _short(call.get("id") or place)} if self.short_ids else {}
        return {**call, "function": function, **ids}

    def _result(self, message: Message, waiting: list[tuple[str | None, str]]) -> Message:
        given = message.get("tool_call_id")
        wanted = _short(given) if given and self.short_ids else given
        at = next((at for at, (one, _) in enumerate(waiting) if one == wanted), 0)
        if not waiting:
            return message
        number, name = waiting.pop(at)
        ids = {"tool_call_id": wanted or number} if self.short_ids else {}
        return {**message, **ids, **({"name": name} if self.names and not message.get("name") else {})}


def call_form(render: Render) -> CallForm:
    """The first form in which the template renders a tool call and its arguments, as JSON or otherwise whole."""
    best, fewest = CallForm(), 9
    for names, short_ids, text_arguments, empty_content in product((False, True), repeat=4):
        form = CallForm(text_arguments, empty_content, short_ids, names)
        text, whole = next(_rendered(render, form), ("", False))
        faults = _faults(text) + (not whole)
        if faults < fewest:
            best, fewest = form, faults
        if not faults:
            return form
    return best


def takes_parts(render: Render) -> bool:
    """Whether a template shows content as a list of parts alone, as those of models for images and text do."""
    messages: list[Message] = [_QUESTION, {"role": "assistant", "content": SAID}]
    for form in (messages, [in_parts(message) for message in messages]):
        try:
            text = render(form, None)
        except DataError:
            continue
        if ASKED in text and SAID in text:
            return form is not messages
    return False


def in_parts(message: Message) -> Message:
    """The message with its content as a list of one part."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if content else []
    return {**message, "content": parts} if content is None or isinstance(content, str) else message


def reasoning_form(render: Render, source: str) -> Callable[[Message], Message]:
    """How a template takes reasoning: in its own field, as a part of the content, or as a `<think>` block in it.

    The block is for templates that look for it; where none shows the reasoning, it stays in its own field.
    """
    answer = {"role": "assistant", "content": SAID, "reasoning_content": THOUGHT}
    forms = [_as_given, _as_parts, *([inline_reasoning] if _READS_THINK.search(source) else [])]
    for form in forms:
        try:
            text = render([_QUESTION, form(answer)], None)
        except DataError:
            continue
        if THOUGHT in text and f"'{THOUGHT}'" not in text:
            return form
    return _as_given


def _as_given(message: Message) -> Message:
    return message


def _as_parts(message: Message) -> Message:
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    said = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    return {**rest, "content": [{"type": "thinking", "thinking": message["reasoning_content"]}, *said]}


def _rendered(render: Render, form: CallForm) -> Iterator[tuple[str, bool]]:
    """A conversation with a call, and whether its result could be rendered with it."""
    call = {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": {_KEY: _VALUE}}}
    called: list[Message] = [_QUESTION, {"role": "assistant", "content": "", "tool_calls": [call]}]
    result = {"role": "tool", "content": _RESULT, "tool_call_id": _ID}
    for messages in ([*called, result, {"role": "assistant", "content": SAID}], called):
        try:
            yield render(form(messages), _TOOLS), len(messages) > len(called)
        except DataError:
            continue


def _faults(text: str) -> int:
    """0 for a call that is rendered whole, more for arguments in Python's or doubled notation, most without them."""
    if _VALUE not in text:
        return 5 if text else 6
    return (f"'{_KEY}'" in text) + (f'\\"{_KEY}\\"' in text) + ("None" in text)


def _short(given: str) -> str:
    if _SHORT.fullmatch(given):
        return given
    letters = "".join(one for one in hashlib.blake2b(given.encode("utf-8", "surrogatepass")).hexdigest())
    return letters[:9]
