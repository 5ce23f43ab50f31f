"""An error in a line."""

from __future__ import annotations


def error_text(error: BaseException) -> str:
    """The type of an error and what it says, without the full stop."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
