"""The error of a conversation whose answers cannot stand in one text."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.errors import DataError


class TurnsApart(DataError):  # noqa: N818 - it is how a conversation is, and no fault where each turn is an example
    """The answers of a conversation are generated from prompts that are no beginnings of its whole text.

    `after`: for each trained message, how many messages come after it; an example of each such turn can be encoded.
    `asked`: the example itself says so (data.turns=each).
    """

    def __init__(self, message: str, after: Sequence[int], where: str = "", *, asked: bool = False) -> None:
        self.after, self.asked = list(after), asked
        way_out = "Let each turn be one (data.turns=each), or train the last one alone (data.turns=last)."
        super().__init__(message, where=where, hint=way_out)

    @classmethod
    def rendered_otherwise(cls, template: str, message: int, after: Sequence[int], where: str) -> TurnsApart:
        """The error of a template that renders what comes before a message differently when others follow it."""
        return cls(
            f"{template} renders the messages before message {message + 1} differently in its generation prompt, so "
            "the conversation is no single example.",
            after,
            where,
        )
