"""A run that was asked to end."""

from __future__ import annotations

import signal
from typing import Any


class Interrupted(SystemExit):
    """The run was asked to end; `code` is 143 for SIGTERM and 130 for SIGINT, with a valid checkpoint once it trained.

    A SystemExit, so that no `except Exception` on its way holds it up.
    """

    kind = "interrupted"
    code: int

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.message = f"The run was ended by {signal.Signals(number).name}."
        self.hint = "Go on with resume=auto."

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"

    def as_json(self) -> dict[str, Any]:
        shared = {"code": self.code, "kind": self.kind, "message": self.message, "where": "", "hint": self.hint}
        return {**shared, "resumable": True}
