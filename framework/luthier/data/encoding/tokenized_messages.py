"""Conversations that were tokenized in a batch before they are encoded one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from luthier.data.encoding.template import Message


class TokenizedMessages(list[Message]):
    """The messages of a conversation with their rendered text and its token ids.

    `used` records whether the ids were taken instead of rendering again. Copies are plain lists, which may be changed.
    """

    def __init__(self, messages: Iterable[Message], text: str, ids: list[int]) -> None:
        super().__init__(messages)
        self.text, self.ids, self.used = text, ids, False

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def taken(self) -> tuple[str, list[int]]:
        """The text and the ids; marks them as used."""
        self.used = True
        return self.text, self.ids
