"""A sentence after every question."""

from luthier.api import Prompt


class Reminder(Prompt):
    """Append a sentence to the last message of the user."""

    def __init__(self, *, sentence: str = "Answer briefly.") -> None:
        self.sentence = sentence

    def __call__(self, example):
        messages = [dict(message) for message in example["messages"]]
        asked = [message for message in messages if message["role"] == "user"]
        for message in asked[-1:]:
            message["content"] += f" {self.sentence}"
        return {**example, "messages": messages}
