"""Where the answers of a conversation stand in its rendered text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from luthier.data.encoding.assembled_answer import assembled
from luthier.data.encoding.given_texts import REASONING, given_texts, left_out
from luthier.data.encoding.reasoning_block import common_length, has_reasoning
from luthier.data.encoding.reasoning_tags import empty_block, opened_tag
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.errors import DataError

Span = tuple[int, int, int]
"""The number of a message, and the characters [start, stop) that a model generates for it."""


@dataclass(frozen=True, slots=True)
class RenderedAnswers:
    """The text of a conversation and the spans of the wanted messages in it, in order.

    `is_rendering`: the text is what the template renders of the conversation, not put together for its last answer.
    """

    text: str
    spans: list[Span]
    is_rendering: bool = True


def rendered_answers(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> RenderedAnswers:
    """Render a conversation and find the wanted messages by the template's marks, or by rendering those before each.

    The text before an answer is the prompt from which it is generated, with all that the generation prompt opens, such
    as `<think>`; an empty block of reasoning that the template writes for an answer without reasoning belongs to it.
    TurnsApart where the template renders the messages before an answer differently when others follow, DataError where
    the beginning of an answer cannot be determined.
    """
    locate = _marked if template.has_marks else _between_prefixes
    found = locate(template, messages, tools, wanted, where)
    spans = [_after_empty_block(template, messages, found.text, one) for one in found.spans]
    return replace(found, spans=spans)


def _after_empty_block(template: Template, messages: Sequence[Message], text: str, span: Span) -> Span:
    number, start, stop = span
    if messages[number]["role"] != "assistant" or has_reasoning(messages[number]):
        return span
    answer, block = text[start:stop], template.reasoning_block
    if block is not None and (length := block.empty_in(answer)):
        return number, start + length, stop
    tag = opened_tag(text[:start])
    empty = empty_block(tag, answer) if tag else None
    return (number, start + empty.end(), stop) if empty else span


def _marked(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> RenderedAnswers:
    text, marks = template.render_marked(messages, tools, where=where)
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    if answers and not marks:
        raise DataError(
            f"{template.name} has {{% generation %}} marks, but none was rendered.",
            where=where,
            hint="Mark the assistant's turns in it, or choose model.chat_template=chatml.",
        )
    other_roles = sorted({messages[number]["role"] for number in wanted if number not in answers})
    if other_roles or len(marks) != len(answers):
        raise DataError(
            f"{template.name} marks {len(marks)} answers; the conversation has "
            f"{len(answers)} of the assistant"
            + (f", and turns of {', '.join(other_roles)} are to be trained as well." if other_roles else "."),
            where=where,
            hint="Choose a template without {% generation %} marks, or one that marks every trained turn.",
        )
    pairs = [(number, mark) for number, mark in zip(answers, marks, strict=True) if number in wanted]
    return RenderedAnswers(
        text,
        [(number, _generated_from(template, messages, tools, number, text, mark), mark[1]) for number, mark in pairs],
    )


def _generated_from(
    template: Template, messages: Sequence[Message], tools: Any, number: int, text: str, mark: tuple[int, int]
) -> int:
    """The beginning of a marked answer: after its generation prompt, where marks take that in, too."""
    try:
        prompt = template.render(messages[:number], tools, answer=True)
    except DataError:
        return mark[0]
    start = len(prompt)
    if not text.startswith(prompt):  # as far as both are the same, to the end of a tag or a line
        same = text[mark[0] : common_length(text, prompt)]
        start = mark[0] + 1 + max(same.rfind(end) for end in (">", "]", "\n"))
    return start if mark[0] < start <= mark[1] else mark[0]


def _between_prefixes(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> RenderedAnswers:
    text = template.render(messages, tools, where=where)
    last = len(messages) - 1
    spans, is_rendering = list[Span](), True
    for number in sorted(wanted):
        is_answer = messages[number]["role"] == "assistant"
        begins = number == 0 and not is_answer  # many templates render no conversation without messages
        before = "" if begins else template.render(messages[:number], tools, answer=is_answer, where=where)
        upto = text if number == last else template.render(messages[: number + 1], tools, where=where)
        if number < last and not text.startswith(upto):
            upto = upto.removesuffix(template.end_of_text)  # some templates write it after a whole conversation
        natural = text.startswith(before) and text.startswith(upto) and len(before) < len(upto)
        if natural and _goes_on(messages[number], before, upto):
            start = len(before) if is_answer else _content(messages[number], upto, len(before), template, where)
            spans.append((number, start, len(upto)))
        elif not is_answer and number == last:
            start = _content(messages[number], text, 0, template, where)
            spans.append((number, start, len(text)))
        elif number < last or len(wanted) > 1:
            raise TurnsApart.rendered_otherwise(template.name, number, [last - one for one in sorted(wanted)], where)
        else:
            text, start = assembled(template, messages, tools, before, where)
            is_rendering = False
            spans.append((number, start, len(text)))
    return RenderedAnswers(text, spans, is_rendering)


def _goes_on(answer: Message, prompt: str, text: str) -> bool:
    """Whether a message goes on where its prompt ends: in a block for reasoning that this opens, with reasoning.

    Otherwise templates open the block a second time or close it first, write the answer itself into it, or leave its
    reasoning out.
    """
    tag = opened_tag(prompt) if answer["role"] == "assistant" else None
    if tag is None:
        return True
    said = text[len(prompt) :].lstrip()
    if not has_reasoning(answer):
        return said.startswith(tag.closes)
    texts = [given for given in given_texts([answer], None) if given.kind == REASONING]
    return not said.startswith((tag.opens, tag.closes)) and not left_out(said, texts)


def _content(message: Message, text: str, begin: int, template: Template, where: str) -> int:
    """The beginning of the content of a message that is not an answer; with `begin` 0, that of the last such text."""
    content = message.get("content")
    found = isinstance(content, str) and content.strip()
    start = (text.find(found, begin) if begin else text.rfind(found)) if found else -1
    if start < 0:
        raise DataError(
            f"{template.name} does not show the content of a {message['role']} message "
            "as it is, so it cannot be trained.",
            where=where,
            hint="Train the assistant's turns alone, or choose another template with model.chat_template.",
        )
    return start
