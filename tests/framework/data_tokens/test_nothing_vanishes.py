"""Whatever a conversation gives is in its tokens, or is named; what is trained is never left out.

A property over generated conversations and every template: each text has a word that occurs nowhere else, which is
looked for in the decoded tokens.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.encoding import encode_prompt
from luthier.data.encoding.codec import LEFT_OUT, Codec
from luthier.data.formats.messages import Messages
from luthier.errors import LuthierError
from luthier.models.templates import template
from tests.framework.data_tokens.real_templates import NAMES, context, rows, tokenizer, trained
from tests.framework.data_tokens.tiny_tokens import byte_level

OWN = ("chatml", "plain")
EMPTY = re.compile(r"<(think|seed:think)>\s*</\1>|\[THINK\]\[/THINK\]")
DECORATIONS = (
    "{}",
    "{}.",
    " {} ",
    "\n{}\n",
    'a "{}" b',
    "{}\n\nand\tmore",
    "é{}–ü",
    "<b>{}</b>",
    "{{}} {}",
    "{} 日本",
    "'{}'",
)


@cache
def made(name: str):
    return byte_level(template(name)) if name in OWN else tokenizer(name)


class Words:
    """Texts around words that occur nowhere else."""

    def __init__(self, draw) -> None:
        self.draw, self.numbers = draw, count()

    def word(self) -> str:
        return f"zq{next(self.numbers)}w"

    def text(self) -> str:
        return self.draw(st.sampled_from(DECORATIONS)).replace("{}", self.word()).replace("{{}}", "{}")


@st.composite
def conversations(draw) -> dict:
    """A row in OpenAI's form: reasoning in its own field or in the content, calls with results, names, weights."""
    words = Words(draw)
    names = [words.word() for _ in range(draw(st.integers(1, 2)))]
    has_tools = draw(st.booleans())
    messages = [{"role": "system", "content": words.text()}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        named = {"name": words.word()} if draw(st.integers(0, 5)) == 0 else {}
        messages.append({"role": "user", "content": words.text(), **named})
        if has_tools and draw(st.booleans()):
            messages += _called(draw, words, names)
        messages.append(_answer(draw, words))
    row = {"messages": messages}
    if has_tools:
        row["tools"] = [_tool(draw, words, name) for name in names]
    return row


def _answer(draw, words: Words) -> dict:
    weight = {"weight": draw(st.sampled_from([0, 1, 0.5]))} if draw(st.integers(0, 4)) == 0 else {}
    kind = draw(st.sampled_from(["none", "none", "field", "inline", "thinking"]))
    if kind == "inline":
        content = f"<think>\n{words.text()}\n</think>\n\n{words.text()}"
        return {"role": "assistant", "content": content, **weight}
    reasoning = {} if kind == "none" else {{"field": "reasoning_content"}.get(kind, kind): words.text()}
    return {"role": "assistant", "content": words.text(), **reasoning, **weight}


def _called(draw, words: Words, names: list[str]) -> list[dict]:
    calls = []
    for _ in range(draw(st.integers(1, 2))):
        value = draw(st.sampled_from([words.text(), 7, [words.text()], {words.word(): words.text()}]))
        arguments = {words.word(): value}
        given = json.dumps(arguments) if draw(st.booleans()) else arguments
        function = {"name": draw(st.sampled_from(names)), "arguments": given}
        calls.append({"id": f"call_{words.word()}", "type": "function", "function": function})
    content = words.text() if draw(st.integers(0, 3)) == 0 else draw(st.sampled_from([None, ""]))
    reasoning = {"reasoning_content": words.text()} if draw(st.integers(0, 3)) == 0 else {}
    results = [{"role": "tool", "content": words.text(), "tool_call_id": call["id"]} for call in calls]
    return [{"role": "assistant", "content": content, "tool_calls": calls, **reasoning}, *results]


def _tool(draw, words: Words, name: str) -> dict:
    properties = {words.word(): {"type": "string", "description": words.text()} for _ in range(draw(st.integers(0, 2)))}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    function = {"name": name, "description": words.text(), "parameters": parameters}
    return {"type": "function", "function": function}


WORD = re.compile(r"zq\d+w")


def _words(value: object) -> Iterator[str]:
    yield from WORD.findall(json.dumps(value, ensure_ascii=False))


def _kinds(example: dict, number: int | None) -> Iterator[tuple[str, str]]:
    """(kind, word) of a message, or of the definitions of tools; whatever else a message may have is no text."""
    if number is None:
        yield from (("tool definitions", word) for word in _words(example.get("tools", [])))
        return
    message = example["messages"][number]
    thought, _, said = str(message["content"]).rpartition("</think>")
    kind = {"user": "content of user turns", "system": "system prompts", "tool": "results of tools"}
    yield from ((kind.get(message["role"], "content"), word) for word in _words(said))
    thoughts = [*_words(thought), *_words(message.get("reasoning_content"))]
    yield from (("reasoning of earlier turns", word) for word in thoughts)
    for call in message.get("tool_calls", []):
        yield from (("earlier tool calls", word) for word in _words(call["function"]))
        yield from (("tool call ids", word) for word in _words(call.get("id")))
    yield from (("names", word) for word in _words(message.get("name")))
    yield from (("tool call ids", word) for word in _words(message.get("tool_call_id")))


def _rows(example: dict, using, *, renders_all: bool) -> list:
    """The rows of an example; none where the template refuses it, which must have a way out."""
    try:
        return rows(example, using)
    except LuthierError as error:
        if renders_all or not error.hint:
            raise
        return []


CONTEXT = {"names", "tool call ids"}


@pytest.mark.parametrize("name", [*OWN, *NAMES])
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(row=conversations())
def test_each_text_is_in_the_tokens_or_named(name, row):
    using = made(name)
    try:
        example = {**Messages()(row, Counter()), "where": "f:1"}
    except LuthierError:
        return  # every answer has weight 0
    codec = Codec.of(using)
    before = dict(codec.counts)
    turns = _rows(example, using, renders_all=name in OWN)
    named = {kind.removeprefix(LEFT_OUT) for kind, number in codec.counts.items() if number > before.get(kind, 0)}
    for turn in turns:
        text = using.decode(turn.row.sequences[0].ids.tolist())
        spans = "".join(trained(turn, using))
        messages = turn.example["messages"]
        wanted = [n for n, one in enumerate(messages) if one["role"] == "assistant" and one.get("weight", 1) != 0]
        for number in (*range(len(messages)), None):
            for kind, word in _kinds(turn.example, number):
                if number in wanted and kind not in CONTEXT:
                    assert word in spans, f"{kind} of message {number} is to be trained: {word}"
                else:
                    assert word in text or kind in named, f"{kind} of message {number} is nowhere: {word}"
        for number, message in enumerate(messages):
            if number not in wanted and message["role"] != "assistant":
                assert not [word for word in _words(message["content"]) if word in spans]
        assert not EMPTY.search(spans)
        asked = using.decode(encode_prompt({**turn.example, "messages": messages[: wanted[0]]}, using).tolist())
        extra = context(turn, using).removeprefix(asked)
        assert re.sub(r"think|THINKING|START_|END_", "", extra).strip("<|>/\n") == "" or name.endswith("_marked")
