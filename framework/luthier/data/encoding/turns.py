"""The token spans of answers and messages in a rendered conversation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from luthier.data.encoding.answer_spans import RenderedAnswers, rendered_answers
from luthier.data.encoding.presence import Missing, check_given
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
    """The ids of a conversation, its wanted turns, the answers before which a token was split, and what is left out.

    `is_rendering`: the ids are of the text that the template renders (`RenderedAnswers`).
    """

    ids: list[int]
    turns: list[Turn] = field(default_factory=list)
    moved: int = 0
    missing: Missing = frozenset()
    is_rendering: bool = True


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
    split there, as it is in generation, and counted as `moved`. TurnsApart where the template renders earlier messages
    differently when later ones follow; DataError, naming the template, for a text of a wanted message that is not in
    its turn.
    """
    answers = rendered_answers(template, messages, tools, wanted, where)
    missing = check_given(template, messages, tools, wanted, answers, where)
    found = turns_in(answers, template, tokenizer, where)
    return replace(found, missing=missing)


def turns_in(answers: RenderedAnswers, template: Template, tokenizer: ShieldedTokenizer, where: str) -> Turns:
    """The ids of rendered answers and the spans of their tokens."""
    text, ids = answers.text, list[int]()
    turns, moved, offset = [], 0, 0
    rest = tokenizer.encode(text)
    for message, start, stop in answers.spans:
        before = tokenizer.encode(text[offset:start])
        if rest[: len(before)] != before:
            after = tokenizer.encode(text[start:])
            _check_split(tokenizer, text[offset:], before + after, template, where)
            ids, rest, offset, moved = ids + before, after, start, moved + 1
            before = []
        upto = tokenizer.encode(text[offset:stop])
        end = len(before) + common_tokens(rest[len(before) :], upto[len(before) :])
        inside = rest[len(before) : end]
        last = _end_of_turn(template, tokenizer, inside)
        first = len(ids) + len(before)
        turns.append(Turn(message, first, first + (len(inside) if last is None else last + 1), last is not None))
    return Turns(ids + rest, turns, moved, is_rendering=answers.is_rendering)


def _check_split(tokenizer: ShieldedTokenizer, text: str, ids: list[int], template: Template, where: str) -> None:
    if tokenizer.decode(ids) != tokenizer.decode(tokenizer.encode(text)):
        raise DataError(
            f"{template.name} begins an answer in the middle of a token, which this tokenizer cannot split.",
            where=where,
            hint="Choose model.chat_template=chatml, or end the generation prompt with a special token.",
        )


def common_tokens(one: list[int], other: list[int]) -> int:
    """Tokens of `one` up to the end of `other`, with the token that extends beyond it."""
    if one[: len(other)] == other:
        return len(other)
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (left, right) in pairs if left != right), len(one) - 1) + 1


def _end_of_turn(template: Template, tokenizer: ShieldedTokenizer, ids: list[int]) -> int | None:
    """The index of the last special token, if only white space follows it.

    Where that ends the conversation and another one the turn before it, it is the index of the latter.
    """
    last = _last_special(tokenizer, ids)
    if last is not None and template.ends_conversations and tokenizer.decode([ids[last]]) == template.end_of_text:
        before = _last_special(tokenizer, ids[:last])
        return last if before is None else before
    return last


def _last_special(tokenizer: ShieldedTokenizer, ids: list[int]) -> int | None:
    last = next((place for place in reversed(range(len(ids))) if ids[place] in tokenizer.special_ids), None)
    return None if last is None or tokenizer.decode(ids[last + 1 :]).strip() else last
