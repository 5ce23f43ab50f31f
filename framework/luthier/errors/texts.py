"""An exception as part of a sentence."""

from __future__ import annotations


def error_text(error: BaseException) -> str:
    """Its kind and what it says, on one line without the stop at the end."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": .")
