"""What can go wrong, one class for each exit code.

A message is one sentence that names who, what and where; `hint` is the way out. People see the sentence,
scripts see `as_json`, and a traceback appears only with `--debug`.
"""

from __future__ import annotations

from typing import Any

LONGEST = 3000
"""Characters of a message that are shown."""


class LuthierError(Exception):
    """An error that is reported as one sentence and ends the command with the exit code `code`.

    `message` says who, what and where, `where` is file:line[:column] or the setting's path, `hint` is the way out.
    `resumable` says that the same command with `resume=auto` goes on from a checkpoint.
    """

    code = 1
    """The exit code of the command that it ends."""
    kind = "bug"
    """What the exit code means, in a word; the `kind` of errors as JSON."""

    def __init__(self, message: str, *, where: str = "", hint: str = "", resumable: bool = False) -> None:
        message = _shortened(message)
        super().__init__(message)
        self.message, self.where, self.hint, self.resumable = message, where, hint, resumable

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where and self.where not in self.message else ""
        way_out = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{way_out}"

    def as_json(self) -> dict[str, Any]:
        """Code, kind, message, where, hint and resumable, as `--json` writes them."""
        return {
            "code": self.code,
            "kind": self.kind,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
            "resumable": self.resumable,
        }


def _shortened(message: str) -> str:
    """A message without the middle of what makes it longer than anybody reads, such as a value that it quotes."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 500]} … {message[-400:]}"


class RecipeError(LuthierError):
    """The command line or the recipe asks for something that does not exist or cannot work."""

    code = 2
    kind = "recipe"


class DataError(LuthierError):
    """A record cannot be read, understood or trained on; `where` is its file and line."""

    code = 3
    kind = "data"


class NumericsError(LuthierError):
    """A loss or gradient is not finite, or numbers that must be the same are not; the last good checkpoint stays."""

    code = 4
    kind = "numerics"


class ResourceError(LuthierError):
    """Memory, disk, time, a download or a device is not to be had."""

    code = 5
    kind = "resources"


class Refused(LuthierError):  # noqa: N818 - read as `except Refused`
    """The recipe or a file asks for something that could run code or leave its folder."""

    code = 6
    kind = "safety"


class PluginError(LuthierError):
    """A plugin failed, or two plugins claim the same name."""

    code = 7
    kind = "plugin"
