"""Conversations: what a model is given to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Message = dict[str, Any]
"""One turn in OpenAI's form: `role`, `content` and what else the chat template knows."""
Conversation = Sequence[Message]
"""Messages in order: dictionaries in OpenAI's form, with `role` and `content`; `ToolConversation` has tools as well."""


class ToolConversation(list[Message]):
    """The messages of a conversation, and the definitions of the tools that the model may call."""

    def __init__(self, messages: Iterable[Message], tools: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(messages)
        self.tools = list(tools)
        """Their definitions in OpenAI's form."""
