"""Answer spans found in token ids by the tokens around answers, which is faster than rendering prefixes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from luthier.data.encoding.presence import Missing
from luthier.data.encoding.shielded_tokenizer import ShieldedTokenizer
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns import Turn, Turns


@dataclass(frozen=True, slots=True)
class VerifiedShape:
    """What is known of conversations of one shape: the tokens between header and answer, and what is left out.

    `openings` has an entry for each answer that is wanted, such as the tokens of an empty block of reasoning.
    """

    openings: tuple[tuple[int, ...], ...]
    missing: Missing


class AnswerFrames:
    """Finds the answer spans of one template in token ids: each is between a header and an end-of-turn token.

    Both begin with a special token, which content cannot contain, so that no content is mistaken for them. The spans
    are used only for conversations of a shape (roles, tool calls, wanted turns) for which they were once equal to those
    of `exact_turns`, and only where the content has no text of an added token.
    """

    def __init__(self) -> None:
        self._header: list[int] = []
        self._end = -1
        self._verified: dict[Any, VerifiedShape | None] = {}

    def missing(self, shape: Any) -> Missing | None:
        """What the template leaves out of conversations of this shape; None where the spans are not to be trusted."""
        verified = self._verified.get(shape)
        return None if verified is None else verified.missing

    def verify(self, shape: Any, exact: Turns, messages: Sequence[Message], wanted: Collection[int]) -> None:
        """Record whether the spans of this shape equal the exact ones; a shape is compared once."""
        if shape in self._verified or exact.moved or not exact.is_rendering:
            return
        found = self._framed(exact.ids, messages)
        turns = [turn for turn in found or () if turn.message in wanted]
        pairs = list(zip(turns, exact.turns, strict=False))
        equal = len(turns) == len(exact.turns) and all(
            (one.message, one.stop, one.ends) == (other.message, other.stop, other.ends) and one.start <= other.start
            for one, other in pairs
        )
        openings = tuple(tuple(exact.ids[one.start : other.start]) for one, other in pairs)
        self._verified[shape] = VerifiedShape(openings, exact.missing) if equal else None

    def learn(
        self, template: Template, tokenizer: ShieldedTokenizer, exact: Turns, messages: Sequence[Message], tools: Any
    ) -> None:
        """Take the header of answers and the end-of-turn token from an exactly encoded conversation.

        The header is the generation prompt, or as much of it as stands before each answer of the conversation.
        """
        answer = next(
            (turn for turn in exact.turns if turn.ends and messages[turn.message]["role"] == "assistant"), None
        )
        if self._header or answer is None:
            return
        before = messages[: answer.message]
        text, with_header = template.render(before, tools), template.render(before, tools, answer=True)
        header = tokenizer.encode(with_header[len(text) :]) if with_header.startswith(text) else []
        if not header or header[0] not in tokenizer.special_ids:
            return
        count = sum(message["role"] == "assistant" for message in messages)
        while len(header) > 1 and len(_places(exact.ids, header)) < count:
            header.pop()
        if len(_places(exact.ids, header)) == count:
            self._header, self._end = header, exact.ids[answer.stop - 1]

    def find(self, ids: list[int], messages: Sequence[Message], wanted: Collection[int], shape: Any) -> Turns | None:
        """The wanted turns of a verified shape; None where the ids do not match the assistant's messages."""
        verified, found = self._verified.get(shape), self._framed(ids, messages)
        if verified is None or found is None:
            return None
        turns: list[Turn] = []
        for turn, opening in zip((turn for turn in found if turn.message in wanted), verified.openings, strict=True):
            start = turn.start + len(opening)
            if ids[turn.start : start] != list(opening) or start >= turn.stop:
                return None
            turns.append(Turn(turn.message, start, turn.stop, turn.ends))
        return Turns(ids, turns, missing=verified.missing)

    def _framed(self, ids: list[int], messages: Sequence[Message]) -> list[Turn] | None:
        """A turn for each answer, from its header to its end; None where headers and answers do not match."""
        if not self._header:
            return None
        begin, width = self._header[0], len(self._header)
        answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        places = _places(ids, self._header)
        if len(places) != len(answers):
            return None
        turns: list[Turn] = []
        for number, place, after in zip(answers, places, [*places, len(ids)][1:], strict=True):
            try:
                stop = ids.index(self._end, place + width, after) + 1
            except ValueError:
                return None
            if begin != self._end and begin in ids[place + width : stop]:
                return None
            turns.append(Turn(number, place + width, stop, ends=True))
        return turns


def _places(ids: list[int], header: list[int]) -> list[int]:
    """Where the header stands in the ids."""
    places: list[int] = []
    at = -1
    try:
        while True:
            at = ids.index(header[0], at + 1)
            if ids[at : at + len(header)] == header:
                places.append(at)
    except ValueError:
        return places
