"""The prompt template: a system prompt, in-context examples, and a template for the user's turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from luthier.api import DataError, Demonstration, Example, last_question, message_text, with_system
from luthier_prompting.jinja_template import JinjaTemplate

Message = dict[str, Any]

HIDDEN_FIELDS = frozenset({"messages", "chosen", "rejected", "label", "text", "where", "split", "source", "tools"})
"""The fields of an example that a template cannot use: the target, and what is not part of the user's data."""


class PromptTemplate:
    """Puts a system prompt before a conversation and in-context examples before its last question.

    A conversation's own system prompt follows `system` after a blank line. The last question, and those of the
    examples, are rendered with `template`. The examples are turns of their own unless the template renders `examples`.
    """

    def __init__(self, system: str, template: str | None) -> None:
        self.system = system
        self.template = None if template is None else JinjaTemplate(template)

    @property
    def keeps_questions(self) -> bool:
        """Whether the user's turns stay unchanged."""
        return self.template is None

    def __call__(self, example: Example, shown: Sequence[Demonstration] = ()) -> Example:
        if not example.get("messages"):
            raise DataError(
                "This prompt needs a conversation, and the example has no `messages`.",
                where=str(example.get("where", "")),
                hint="Use prompt=chat with plain text.",
            )
        messages = list(example["messages"])
        place = last_question(example)
        turns: list[Message] = []
        if self.template is None or not self.template.shows_examples:
            turns = [turn for demonstration in shown for turn in self._turns(demonstration)]
            shown = ()
        if self.template is not None and place is not None:
            fields = {**_columns(example), **_question_fields(example, messages[place])}
            fields["examples"] = [demonstration.fields() for demonstration in shown]
            question = self.template(fields, where=str(example.get("where", "")))
            messages[place] = {**messages[place], "content": question}
        return {**example, "messages": self.with_turns(turns, messages)}

    def with_turns(self, turns: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
        """The system prompts, the turns of the examples, and the rest of the conversation."""
        prompted = with_system(self.system, messages)
        before = sum(turn["role"] == "system" for turn in prompted[:1])
        return [*prompted[:before], *turns, *prompted[before:]]

    def opening(self, shown: Sequence[Demonstration] = ()) -> list[Message] | None:
        """The messages before every conversation, if the prompt does nothing else; None where it renders questions."""
        if not self.keeps_questions:
            return None
        messages: list[Message] = self({"messages": [{"role": "user", "content": ""}]}, shown)["messages"]
        return messages[:-1]

    def demonstration(self, example: Example) -> Demonstration | None:
        """A training example as an in-context example; None where it is not a single question with its answer."""
        messages = [turn for turn in example.get("messages", ()) if turn["role"] != "system"]
        if [turn["role"] for turn in messages] != ["user", "assistant"] or not all(map(_is_plain, messages)):
            return None
        question, answer = _question_fields(example, messages[0]), messages[1]["content"]
        names = self.template.names if self.template else ()
        columns = {name: value for name, value in _columns(example).items() if name in names}
        label, where = str(example.get("label", answer)), str(example.get("where", ""))
        return Demonstration(question["question"], question["text"], answer, label, columns, where)

    def _turns(self, shown: Demonstration) -> list[Message]:
        """A demonstration as two turns; its answer has the loss weight 0."""
        question = shown.question
        if self.template is not None:
            question = self.template(shown.fields(), where=shown.where)
        answer = {"role": "assistant", "content": shown.answer, "weight": 0.0}
        return [{"role": "user", "content": question}, answer]


def question_text(example: Example) -> str:
    """The text that the user's last turn is about; empty where there is none."""
    place = last_question(example)
    return "" if place is None else _question_fields(example, example["messages"][place])["text"]


def _question_fields(example: Example, turn: Message) -> dict[str, str]:
    """`question`: the user's message; `text`: of a classification, the text to classify, else the same."""
    question = message_text(turn)
    return {
        "question": question,
        "text": str(example["text"]) if "label" in example and "text" in example else question,
    }


def _is_plain(turn: Message) -> bool:
    return isinstance(turn.get("content"), str) and bool(turn["content"]) and not turn.get("tool_calls")


def _columns(example: Example) -> dict[str, Any]:
    return {name: value for name, value in example.items() if name not in HIDDEN_FIELDS}
