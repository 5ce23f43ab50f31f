"""The token spans of answers and messages in a rendered conversation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from luthier.data.encoding.shielded_tokenizer import ShieldedTokenizer
from luthier.data.encoding.template import Message, Template
from luthier.errors import DataError


@dataclass(frozen=True, slots=True)
class Turn:
    """The tokens [start, stop) that the model generates for message `message`; the last is end-of-turn if it `ends`."""

    message: int
    start: int
    stop: int
    ends: bool


@dataclass(frozen=True, slots=True)
class Turns:
    """The ids of a conversation, its wanted turns, and the number of answers before which a token was split."""

    ids: list[int]
    turns: list[Turn] = field(default_factory=list)
    moved: int = 0


@dataclass(frozen=True, slots=True)
class MessageBoundaries:
    """The ids of a conversation, and the end of each message in them, or None where it cannot be determined."""

    ids: list[int]
    ends: list[int | None]


def message_boundaries(
    template: Template, tokenizer: ShieldedTokenizer, messages: Sequence[Message], tools: Any
) -> MessageBoundaries:
    """Render the messages one by one; an end is None where the template renders earlier messages differently then."""
    wanted = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    ids = exact_turns(template, tokenizer, messages, tools, wanted, "").ids
    text = template.render(messages, tools)
    ends: list[int | None] = []
    for number in range(1, len(messages)):
        try:
            upto = template.render(messages[:number], tools)
        except DataError:
            upto = "\0"
        ends.append(_common(ids, tokenizer.encode(upto)) if text.startswith(upto) else None)
    return MessageBoundaries(ids, [*ends, len(ids)])


def exact_turns(
    template: Template,
    tokenizer: ShieldedTokenizer,
    messages: Sequence[Message],
    tools: Any,
    wanted: Collection[int],
    where: str,
) -> Turns:
    """Find the wanted turns by the template's `{% generation %}` marks, or by rendering the messages before each.

    Each boundary is verified by tokenizing the text before it: the tokens before an answer are those of the prompt from
    which it is generated. Where a token would span the end of the prompt and the beginning of the answer, the text is
    split there, as it is in generation, and counted as `moved`. DataError, naming the template, if it renders earlier
    messages differently when later ones follow.
    """
    if template.has_marks:
        text, spans = _marked(template, messages, tools, wanted, where)
    else:
        text, spans = _between_prefixes(template, messages, tools, wanted, where)
    ids: list[int] = []
    turns, moved, offset = [], 0, 0
    rest = tokenizer.encode(text)
    for message, start, stop in spans:
        before = tokenizer.encode(text[offset:start])
        if rest[: len(before)] != before:
            after = tokenizer.encode(text[start:])
            _check_split(tokenizer, text[offset:], before + after, template, where)
            ids, rest, offset, moved = ids + before, after, start, moved + 1
            before = []
        upto = tokenizer.encode(text[offset:stop])
        end = len(before) + _common(rest[len(before) :], upto[len(before) :])
        inside = rest[len(before) : end]
        last = _end_of_turn(tokenizer, inside)
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
    return text, [(number, *mark) for number, mark in zip(answers, marks, strict=True) if number in wanted]


def _between_prefixes(
    template: Template, messages: Sequence[Message], tools: Any, wanted: Collection[int], where: str
) -> tuple[str, list[tuple[int, int, int]]]:
    text = template.render(messages, tools, where=where)
    spans = []
    for number in sorted(wanted):
        is_answer = messages[number]["role"] == "assistant"
        before = template.render(messages[:number], tools, answer=is_answer, where=where)
        upto = text if number == len(messages) - 1 else template.render(messages[: number + 1], tools, where=where)
        if not (text.startswith(before) and text.startswith(upto) and len(before) < len(upto)):
            raise DataError(
                f"{template.name} renders the messages before message {number + 1} differently in its "
                f"generation prompt, so the beginning of the answer cannot be determined.",
                where=where,
                hint="Choose model.chat_template=chatml, or a template that marks answers with {% generation %}.",
            )
        start = len(before) if is_answer else _content(messages[number], upto, len(before), template, where)
        spans.append((number, start, len(upto)))
    return text, spans


def _content(message: Message, text: str, begin: int, template: Template, where: str) -> int:
    """The beginning of the content of a message that is not an answer, found by its text."""
    content = message.get("content")
    start = text.find(content.strip(), begin) if isinstance(content, str) and content.strip() else -1
    if start < 0:
        raise DataError(
            f"{template.name} does not show the content of a {message['role']} message "
            "as it is, so it cannot be trained.",
            where=where,
            hint="Train the assistant's turns alone, or choose another template with model.chat_template.",
        )
    return start


def _check_split(tokenizer: ShieldedTokenizer, text: str, ids: list[int], template: Template, where: str) -> None:
    if tokenizer.decode(ids) != tokenizer.decode(tokenizer.encode(text)):
        raise DataError(
            f"{template.name} begins an answer in the middle of a token, which this tokenizer cannot split.",
            where=where,
            hint="Choose model.chat_template=chatml, or end the generation prompt with a special token.",
        )


def _common(one: list[int], other: list[int]) -> int:
    """Tokens of `one` up to the end of `other`, with the token that extends beyond it."""
    if one[: len(other)] == other:
        return len(other)
    return next(number for number, (left, right) in enumerate(zip(one, other, strict=False)) if left != right) + 1


def _end_of_turn(tokenizer: ShieldedTokenizer, ids: list[int]) -> int | None:
    """The index of the last special token, if only white space follows it."""
    last = next((place for place in reversed(range(len(ids))) if ids[place] in tokenizer.special_ids), None)
    return None if last is None or tokenizer.decode(ids[last + 1 :]).strip() else last
