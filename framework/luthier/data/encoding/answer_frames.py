"""Answer spans found in token ids by the tokens around answers, which is faster than rendering prefixes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from luthier.data.encoding.shielded_tokenizer import ShieldedTokenizer
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns import Turn, Turns


class AnswerFrames:
    """Finds the answer spans of one template in token ids: each is between generation prompt and end-of-turn token.

    Both begin with a special token, which content cannot contain, so that no content is mistaken for them. The spans
    are used only for conversations of a shape (roles, tool calls, wanted turns) for which they were once equal to those
    of `exact_turns`, and only where the content has no text of an added token.
    """

    def __init__(self) -> None:
        self._header: list[int] = []
        self._end = -1
        self._verified: dict[Any, bool] = {}

    def is_verified(self, shape: Any) -> bool:
        """Whether the spans of this shape were equal to the exact ones."""
        return self._verified.get(shape, False)

    def verify(self, shape: Any, exact: Turns, messages: Sequence[Message], wanted: Collection[int]) -> None:
        """Record whether the spans of this shape equal the exact ones; a shape is compared once."""
        if shape not in self._verified and not exact.moved:
            found = self.find(exact.ids, messages, wanted)
            self._verified[shape] = found is not None and found.turns == exact.turns

    def learn(
        self, template: Template, tokenizer: ShieldedTokenizer, exact: Turns, messages: Sequence[Message], tools: Any
    ) -> None:
        """Take the tokens of the generation prompt and the end-of-turn token from an exactly encoded conversation."""
        answer = next(
            (turn for turn in exact.turns if turn.ends and messages[turn.message]["role"] == "assistant"), None
        )
        if self._header or answer is None:
            return
        before = messages[: answer.message]
        text, with_header = template.render(before, tools), template.render(before, tools, answer=True)
        header = tokenizer.encode(with_header[len(text) :]) if with_header.startswith(text) else []
        in_ids = exact.ids[answer.start - len(header) : answer.start] == header
        if header and header[0] in tokenizer.special_ids and in_ids:
            self._header, self._end = header, exact.ids[answer.stop - 1]

    def find(self, ids: list[int], messages: Sequence[Message], wanted: Collection[int]) -> Turns | None:
        """The wanted turns; None where the frames in the ids do not match the assistant's messages."""
        if not self._header:
            return None
        begin, width = self._header[0], len(self._header)
        answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        turns: list[Turn] = []
        place = -1
        try:
            for number in answers:
                place = ids.index(begin, place + 1)
                while ids[place : place + width] != self._header:
                    place = ids.index(begin, place + 1)
                stop = ids.index(self._end, place + width) + 1
                if begin != self._end and begin in ids[place + width : stop]:
                    return None
                turns.append(Turn(number, place + width, stop, ends=True))
                place = stop - 1
            while True:  # nor may a header be left over
                place = ids.index(begin, place + 1)
                if ids[place : place + width] == self._header:
                    return None
        except ValueError:
            if len(turns) < len(answers):
                return None
        return Turns(ids, [turn for turn in turns if turn.message in wanted])
