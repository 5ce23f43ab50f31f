"""What stands around a question: a system prompt in front, and a template for the words of the user's turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.api import DataError, Example, last_question, message_text, with_system
from luthier_prompting.demonstration import Demonstration
from luthier_prompting.jinja_template import Wording

Message = dict[str, Any]

ANSWERS = frozenset({"messages", "chosen", "rejected", "label", "text", "where", "split", "source", "tools"})
"""What a template does not get to see: what the model shall find out, and what is not the user's."""


class Frame:
    """Puts a system prompt before a conversation and examples before its last question, in the template's words.

    A conversation's own system prompt follows the given one behind a blank line. Examples are turns of their own, each
    question in the template's words, unless the template has a place for `examples`.
    """

    def __init__(self, system: str, template: str | None) -> None:
        self.system = system
        self.wording = None if template is None else Wording(template)

    @property
    def same_for_all(self) -> bool:
        """Whether it leaves the user's turns as they are."""
        return self.wording is None

    def __call__(self, example: Example, shown: Sequence[Demonstration] = ()) -> Example:
        if not example.get("messages"):
            raise DataError(
                "A prompt stands in conversations, and the example has no `messages`.",
                where=str(example.get("where", "")),
                hint="Use prompt=chat with plain text.",
            )
        messages = list(example["messages"])
        asks = last_question(example)
        turns: list[Message] = []
        if self.wording is None or not self.wording.shows_examples:
            turns = [turn for one in shown for turn in self._turns(one)]
            shown = ()
        if self.wording is not None and asks is not None:
            known = {**_columns(example), **_asked(example, messages[asks])}
            known["examples"] = [one.known() for one in shown]
            said = self.wording(known, where=str(example.get("where", "")))
            messages[asks] = {**messages[asks], "content": said}
        return {**example, "messages": self.opened(turns, messages)}

    def opened(self, turns: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
        """The system prompts, the turns of the examples, and the rest of the conversation."""
        said = with_system(self.system, messages)
        before = sum(turn["role"] == "system" for turn in said[:1])
        return [*said[:before], *turns, *said[before:]]

    def demonstration(self, example: Example) -> Demonstration | None:
        """A training example as a question and its answer; None where it is more than that."""
        messages = [turn for turn in example.get("messages", ()) if turn["role"] != "system"]
        if [turn["role"] for turn in messages] != ["user", "assistant"] or not all(map(_is_plain, messages)):
            return None
        asked, answer = _asked(example, messages[0]), messages[1]["content"]
        wanted = self.wording.names if self.wording else ()
        columns = {name: value for name, value in _columns(example).items() if name in wanted}
        label, where = str(example.get("label", answer)), str(example.get("where", ""))
        return Demonstration(asked["question"], asked["text"], answer, label, columns, where)

    def _turns(self, shown: Demonstration) -> list[Message]:
        """A demonstration as turns that nothing is learned from: its answer is context."""
        question = shown.question
        if self.wording is not None:
            question = self.wording(shown.known(), where=shown.where)
        answer = {"role": "assistant", "content": shown.answer, "weight": 0.0}
        return [{"role": "user", "content": question}, answer]


def text_asked(example: Example) -> str:
    """What the user's last turn is about."""
    place = last_question(example)
    return "" if place is None else _asked(example, example["messages"][place])["text"]


def _asked(example: Example, turn: Message) -> dict[str, str]:
    """The user's words, and of a classification the text without them."""
    question = message_text(turn)
    return {
        "question": question,
        "text": str(example["text"]) if "label" in example and "text" in example else question,
    }


def _is_plain(turn: Message) -> bool:
    return isinstance(turn.get("content"), str) and bool(turn["content"]) and not turn.get("tool_calls")


def _columns(example: Example) -> dict[str, Any]:
    return {name: value for name, value in example.items() if name not in ANSWERS}
