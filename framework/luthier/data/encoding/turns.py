"""Where each answer of a rendered conversation begins and ends, in tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.data.encoding.plain import PlainText
from luthier.data.encoding.template import Message, Template
from luthier.errors import DataError


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model writes in message `message`: tokens [start, stop), the last an end-of-turn token if it `ends`."""

    message: int
    start: int
    stop: int
    ends: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """The ids of a conversation, its wanted turns, and how many token boundaries had to be moved to find them."""

    ids: list[int]
    turns: list[Turn] = field(default_factory=list)
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Borders:
    """The ids of a conversation, and for each message how many tokens it and those before make, where that is clear."""

    ids: list[int]
    ends: list[int | None]


def borders(template: Template, plain: PlainText, messages: Sequence[Message], tools: Any) -> Borders:
    """Render message by message; an end is None where what was said before then reads differently."""
    wanted = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    ids = exact(template, plain, messages, tools, wanted, "").ids
    text = template.render(messages, tools)
    ends: list[int | None] = []
    for number in range(1, len(messages)):
        try:
            upto = template.render(messages[:number], tools)
        except DataError:
            upto = "\0"
        ends.append(_common(ids, plain.encode(upto)) if text.startswith(upto) else None)
    return Borders(ids, [*ends, len(ids)])


def exact(
    template: Template, plain: PlainText, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> Turns:
    """Find the wanted turns by the template's marks, else by rendering what comes before and up to each of them.

    Every boundary is checked by tokenising the text before it again: the tokens before an answer must be those that
    the model sees when it is asked for the answer. Where a token would stretch from the prompt into the answer, the
    text is cut there, as it is when the model answers, and counted as `moved`.
    DataError, naming the template, if what comes first changes with what comes later.
    """
    if template.has_marks:
        text, spans = _marked(template, messages, tools, wanted, where)
    else:
        text, spans = _between_prefixes(template, messages, tools, wanted, where)
    ids: list[int] = []
    turns, moved, begun = [], 0, 0
    rest = plain.encode(text)
    for message, start, stop in spans:
        before = plain.encode(text[begun:start])
        if rest[: len(before)] != before:
            after = plain.encode(text[start:])
            _check_cut(plain, text[begun:], before + after, template, where)
            ids, rest, begun, moved = ids + before, after, start, moved + 1
            before = []
        upto = plain.encode(text[begun:stop])
        end = len(before) + _common(rest[len(before) :], upto[len(before) :])
        inside = rest[len(before) : end]
        last = _end_of_turn(plain, inside)
        first = len(ids) + len(before)
        turns.append(Turn(message, first, first + (len(inside) if last is None else last + 1), last is not None))
    return Turns(ids + rest, turns, moved)


def _marked(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> tuple[str, list[tuple[int, int, int]]]:
    text, marks = template.render_marked(messages, tools, where=where)
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    if answers and not marks:
        raise DataError(
            f"{template.name} has {{% generation %}} marks, but none came out.",
            where=where,
            hint="Mark the assistant's turns in it, or choose model.chat_template=chatml.",
        )
    strangers = sorted({messages[number]["role"] for number in wanted if number not in answers})
    if strangers or len(marks) != len(answers):
        raise DataError(
            f"{template.name} marks {len(marks)} answers; the conversation has "
            f"{len(answers)} of the assistant"
            + (f", and turns of {', '.join(strangers)} are to be trained as well." if strangers else "."),
            where=where,
            hint="Choose a template without {% generation %} marks, or one that marks every trained turn.",
        )
    return text, [(number, *mark) for number, mark in zip(answers, marks, strict=True) if number in wanted]


def _between_prefixes(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> tuple[str, list[tuple[int, int, int]]]:
    text = template.render(messages, tools, where=where)
    spans = []
    for number in sorted(wanted):
        spoken = messages[number]["role"] == "assistant"
        before = template.render(messages[:number], tools, answer=spoken, where=where)
        upto = text if number == len(messages) - 1 else template.render(messages[: number + 1], tools, where=where)
        if not (text.startswith(before) and text.startswith(upto) and len(before) < len(upto)):
            raise DataError(
                f"{template.name} writes what comes before message {number + 1} "
                f"differently when the model is asked for it, so where the answer begins cannot be told.",
                where=where,
                hint="Choose model.chat_template=chatml, or a template that marks answers with {% generation %}.",
            )
        start = len(before) if spoken else _content(messages[number], upto, len(before), template, where)
        spans.append((number, start, len(upto)))
    return text, spans


def _content(message: Message, text: str, begin: int, template: Template, where: str) -> int:
    """Where the content of a message that is not the assistant's begins: nobody is asked for it, so look for it."""
    content = message.get("content")
    found = text.find(content.strip(), begin) if isinstance(content, str) and content.strip() else -1
    if found < 0:
        raise DataError(
            f"{template.name} does not show the content of a {message['role']} message "
            "as it is, so it cannot be trained.",
            where=where,
            hint="Train the assistant's turns alone, or choose another template with model.chat_template.",
        )
    return found


def _check_cut(plain: PlainText, text: str, ids: list[int], template: Template, where: str) -> None:
    if plain.decode(ids) != plain.decode(plain.encode(text)):
        raise DataError(
            f"{template.name} begins an answer in the middle of a token, and this tokenizer cannot be cut there.",
            where=where,
            hint="Choose model.chat_template=chatml, or end the generation prompt with a special token.",
        )


def _common(one: list[int], other: list[int]) -> int:
    """Tokens until the end of `other` in `one`, a token that stretches beyond it included."""
    if one[: len(other)] == other:
        return len(other)
    return next(number for number, (left, right) in enumerate(zip(one, other, strict=False)) if left != right) + 1


def _end_of_turn(plain: PlainText, ids: list[int]) -> int | None:
    """The place of the last special token, if nothing but white space follows it."""
    last = next((place for place in reversed(range(len(ids))) if ids[place] in plain.special_ids), None)
    return None if last is None or plain.decode(ids[last + 1 :]).strip() else last
