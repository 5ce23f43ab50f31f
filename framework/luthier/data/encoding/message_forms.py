"""How one chat template takes those parts of a message in which templates differ from OpenAI's form."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

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


def inline_reasoning(message: Message) -> Message:
    """The message with its reasoning as a `<think>` block at the beginning of its content."""
    rest = {key: value for key, value in message.items() if key != "reasoning_content"}
    block = "<think>\n" + str(message["reasoning_content"]).strip("\n") + "\n</think>\n\n"
    return {**rest, "content": block + (message.get("content") or "")}


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
                content = message.get("content") or ("" if self.empty_content else None)
                formed.append({**message, "content": content, "tool_calls": calls})
            elif message["role"] == "tool":
                formed.append(self._result(message, waiting))
            else:
                formed.append(message)
        return formed

    def _call(self, call: Message, place: str) -> Message:
        function = dict(call["function"])
        if self.text_arguments:
            function["arguments"] = json.dumps(function["arguments"], ensure_ascii=False)
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
    best, fewest = CallForm(), 5
    for names, short_ids, text_arguments, empty_content in product((False, True), repeat=4):
        form = CallForm(text_arguments, empty_content, short_ids, names)
        text = next(_rendered(render, form), None)
        faults = 4 if text is None else _faults(text)
        if faults < fewest:
            best, fewest = form, faults
        if not faults:
            return form
    return best


def takes_reasoning_inline(render: Render, source: str) -> bool:
    """Whether a template does not show reasoning of its own field, but takes a `<think>` block out of the content."""
    answer = {"role": "assistant", "content": SAID, "reasoning_content": THOUGHT}
    if not _READS_THINK.search(source):
        return False
    try:
        if THOUGHT in render([_QUESTION, answer], None):
            return False
        return THOUGHT in render([_QUESTION, inline_reasoning(answer)], None)
    except DataError:
        return False


def _rendered(render: Render, form: CallForm) -> Iterator[str]:
    """A conversation with a call, with its result where the template takes results."""
    call = {"id": _ID, "type": "function", "function": {"name": _NAME, "arguments": {_KEY: _VALUE}}}
    called = [_QUESTION, {"role": "assistant", "content": "", "tool_calls": [call]}]
    result = {"role": "tool", "content": _RESULT, "tool_call_id": _ID}
    for messages in ([*called, result, {"role": "assistant", "content": SAID}], called):
        try:
            yield render(form(messages), _TOOLS)
        except DataError:
            continue


def _faults(text: str) -> int:
    """0 for a call that is rendered whole, more for arguments in Python's or doubled notation, most without them."""
    if _VALUE not in text:
        return 3
    return (f"'{_KEY}'" in text) + (f'\\"{_KEY}\\"' in text) + ("None" in text)


def _short(given: str) -> str:
    if _SHORT.fullmatch(given):
        return given
    letters = "".join(one for one in hashlib.blake2b(given.encode("utf-8", "surrogatepass")).hexdigest())
    return letters[:9]
