"""How a template frames its answers, learned from conversations that were encoded exactly, to find them faster."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from luthier.data.encoding.plain import PlainText
from luthier.data.encoding.template import Message, Template
from luthier.data.encoding.turns import Turn, Turns


class Habits:
    """Finds turns in the ids alone: each stands between the tokens of the generation prompt and an end-of-turn token.

    Both begin with a special token, and content cannot hold one, so nothing in the content can be mistaken for them.
    What is found this way is believed only for conversations of a shape (roles, tool calls, wanted turns) for which
    it once gave exactly what `exact` gives, and only where no added token stands in the content.
    """

    def __init__(self) -> None:
        self._header: list[int] = []
        self._end = -1
        self._shapes: dict[Any, bool] = {}

    def trusted(self, shape: Any) -> bool:
        return self._shapes.get(shape, False)

    def compare(self, shape: Any, truth: Turns, messages: Sequence[Message], wanted: Collection[int]) -> None:
        """Note whether this shape is found as it should be; does nothing for a shape that was seen before."""
        if shape not in self._shapes and not truth.moved:
            found = self.find(truth.ids, messages, wanted)
            self._shapes[shape] = found is not None and found.turns == truth.turns

    def learn(
        self, template: Template, plain: PlainText, truth: Turns, messages: Sequence[Message], tools: Any
    ) -> None:
        """Take the generation prompt and the end-of-turn token from an exactly encoded conversation."""
        answer = next(
            (turn for turn in truth.turns if turn.ends and messages[turn.message]["role"] == "assistant"), None
        )
        if self._header or answer is None:
            return
        before = messages[: answer.message]
        silent, asked = template.render(before, tools), template.render(before, tools, answer=True)
        header = plain.encode(asked[len(silent) :]) if asked.startswith(silent) else []
        if header and header[0] in plain.special_ids and truth.ids[answer.start - len(header) : answer.start] == header:
            self._header, self._end = header, truth.ids[answer.stop - 1]

    def find(self, ids: list[int], messages: Sequence[Message], wanted: Collection[int]) -> Turns | None:
        """The wanted turns, or None where the assistant's messages and what stands in the ids do not match."""
        if not self._header:
            return None
        begin, width = self._header[0], len(self._header)
        answers = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        found: list[Turn] = []
        place = -1
        try:
            for number in answers:
                place = ids.index(begin, place + 1)
                while ids[place : place + width] != self._header:
                    place = ids.index(begin, place + 1)
                stop = ids.index(self._end, place + width) + 1
                if begin != self._end and begin in ids[place + width : stop]:
                    return None
                found.append(Turn(number, place + width, stop, ends=True))
                place = stop - 1
            while True:  # a header too many is as bad as one too few
                place = ids.index(begin, place + 1)
                if ids[place : place + width] == self._header:
                    return None
        except ValueError:
            if len(found) < len(answers):
                return None
        return Turns(ids, [turn for turn in found if turn.message in wanted])
