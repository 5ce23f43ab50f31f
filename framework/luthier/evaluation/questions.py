"""An example as a conversation that the model answers, and its reference answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.predictor import Conversation
from luthier.contracts.prompt import Prompt
from luthier.data.examples import conversation_of, message_text
from luthier.data.shown_examples import shown
from luthier.evaluation.metrics.metric import Attempt


@dataclass(frozen=True, slots=True)
class Question:
    """The conversation that the model sees and the reference answer of an example."""

    conversation: Conversation
    """The messages before the answer, as the prompt shows them."""
    reference: str
    """The answer that the data gives."""
    where: str = ""
    """file:line of the example."""
    text: str = ""
    """The text to classify, without the prompt around it."""
    example: Example = field(default_factory=dict)
    """The example as the prompt rendered it, with the further columns of both."""

    def about(self, text: str) -> Conversation:
        """The same conversation with another text to classify; the text alone where it is no classification."""
        place = next((at for at in reversed(range(len(self.conversation))) if _asks(self.conversation[at])), None)
        if place is None:
            return self.conversation
        content = message_text(self.conversation[place])
        before, occurs, after = content.rpartition(self.text) if self.text else ("", "", "")
        changed = {**self.conversation[place], "content": f"{before}{text}{after}" if occurs else text}
        messages = [*self.conversation[:place], changed, *self.conversation[place + 1 :]]
        return conversation_of(self.example, messages)

    @property
    def question(self) -> str:
        """The last user message."""
        texts = (message_text(message) for message in reversed(self.conversation) if _asks(message))
        return next(texts, "")

    def attempt(self, output: str, probabilities: Mapping[str, float] | None = None) -> Attempt:
        """The attempt of a model that answered `output`, with the probability of each label where it has them."""
        return Attempt(self.question, output, self.reference, self.example, probabilities or {})


def questions(examples: Iterable[Example], prompt: Prompt) -> list[Question]:
    """The examples that end with an assistant's message, as the prompt renders them; others have no reference."""
    return [question for example in examples if (question := _question(shown(prompt, example), example)) is not None]


def _question(shown: Example, example: Example) -> Question | None:
    messages = shown.get("messages") or []
    if not messages or messages[-1].get("role") != "assistant" or not message_text(messages[-1]):
        return None
    text = str(example.get("text", "")) if "label" in example else ""
    return Question(
        conversation_of(shown, messages[:-1]), message_text(messages[-1]), str(example.get("where", "")), text, shown
    )


def _asks(message: dict[str, Any]) -> bool:
    return message.get("role") == "user"
