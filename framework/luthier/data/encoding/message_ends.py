"""The end of each message in the tokens of a conversation, for showing whose each token is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.encoding.answer_spans import rendered_answers
from luthier.data.encoding.given_texts import IDS, NAMES, REASONING, given_texts
from luthier.data.encoding.shielded_tokenizer import ShieldedTokenizer
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns import common_tokens, turns_in
from luthier.errors import DataError, LuthierError


@dataclass(frozen=True, slots=True)
class MessageBoundaries:
    """The ids of a conversation, and the end of each message in them, or None where it cannot be determined."""

    ids: list[int]
    ends: list[int | None]


def message_boundaries(
    template: Template, tokenizer: ShieldedTokenizer, messages: Sequence[Message], tools: Any
) -> Iterator[MessageBoundaries]:
    """The boundaries in each encoding that the conversation can have: by its weights, with every answer, with the last.

    They differ where a template renders an answer otherwise than after its generation prompt.
    """
    answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
    weighted = [number for number in answers if message_weight(messages[number]) != 0]
    for wanted in (weighted, answers, answers[-1:]):
        try:
            yield _boundaries(template, tokenizer, messages, tools, wanted)
        except LuthierError:
            continue


def message_weight(message: Message) -> float:
    """The weight that a message sets itself, else 1."""
    weight = message.get("weight")
    return 1.0 if weight is None else float(weight)


def _boundaries(
    template: Template, tokenizer: ShieldedTokenizer, messages: Sequence[Message], tools: Any, wanted: Collection[int]
) -> MessageBoundaries:
    answers = rendered_answers(template, messages, tools, wanted, "")
    ids, text = turns_in(answers, template, tokenizer, "").ids, answers.text
    ends: list[int | None] = []
    place = 0
    for number in range(1, len(messages)):
        try:
            upto = template.render(messages[:number], tools)
        except DataError:
            upto = "\0"
        place = _end_of_texts(text, messages, number - 1, place)
        if text.startswith(upto):
            ends.append(common_tokens(ids, tokenizer.encode(upto)))
        else:
            ends.append(_end_of_turn(ids, tokenizer, text[:place]) if place else None)
    return MessageBoundaries(ids, [*ends, len(ids)])


def _end_of_texts(text: str, messages: Sequence[Message], number: int, place: int) -> int:
    """The character after the content and the calls of a message, searched from `place` on; `place` without any."""
    for given in given_texts(messages[number : number + 1], None):
        if given.kind not in (REASONING, NAMES, IDS) and (at := text.find(given.text.strip(), place)) >= 0:
            place = at + len(given.text.strip())
    return place


def _end_of_turn(ids: list[int], tokenizer: ShieldedTokenizer, before: str) -> int:
    """The token after a text and the special token and the white space that follow it."""
    at = min(common_tokens(ids, tokenizer.encode(before)), len(ids))
    while at < len(ids) and ids[at - 1] not in tokenizer.special_ids:
        at += 1
    while at < len(ids) and ids[at] not in tokenizer.special_ids and not tokenizer.decode(ids[at : at + 1]).strip():
        at += 1
    return at
