"""An example as a question and the answer it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.predictor import Conversation
from luthier.contracts.prompt import Prompt
from luthier.data.examples import message_text
from luthier.evaluation.metrics.metric import Attempt


@dataclass(frozen=True, slots=True)
class Question:
    """The conversation that the model sees up to its answer, and the answer that the data gives."""

    conversation: Conversation
    """The messages before the answer, as the prompt shows them."""
    reference: str
    """The answer that the data gives."""
    where: str = ""
    """file:line of the example."""
    text: str = ""
    """What a classification is about, without the words around it."""
    example: Example = field(default_factory=dict)
    """What the prompt made of the example, with all further columns of both."""

    def about(self, text: str) -> Conversation:
        """The same conversation about another text; about nothing but it where it is no classification."""
        place = next((at for at in reversed(range(len(self.conversation))) if _asks(self.conversation[at])), None)
        if place is None:
            return self.conversation
        asked = message_text(self.conversation[place])
        before, found, after = asked.rpartition(self.text) if self.text else ("", "", "")
        changed = {**self.conversation[place], "content": f"{before}{text}{after}" if found else text}
        return [*self.conversation[:place], changed, *self.conversation[place + 1 :]]

    @property
    def question(self) -> str:
        """What the user said last."""
        said = (message_text(message) for message in reversed(self.conversation) if _asks(message))
        return next(said, "")

    def attempt(self, output: str) -> Attempt:
        """The attempt of a model that answered `output`."""
        return Attempt(self.question, output, self.reference, self.example)


def questions(examples: Iterable[Example], prompt: Prompt) -> list[Question]:
    """The examples that end with an assistant's text, as the prompt shows them; others have nothing to compare with."""
    return [turn for example in examples if (turn := _turn(prompt(example), example)) is not None]


def _turn(shown: Example, example: Example) -> Question | None:
    messages = shown.get("messages") or []
    if not messages or messages[-1].get("role") != "assistant" or not message_text(messages[-1]):
        return None
    text = str(example.get("text", "")) if "label" in example else ""
    return Question(messages[:-1], message_text(messages[-1]), str(example.get("where", "")), text, shown)


def _asks(message: dict[str, Any]) -> bool:
    return message.get("role") == "user"
