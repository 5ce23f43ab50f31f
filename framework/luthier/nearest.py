"""Did you mean …?"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str], otherwise: str, *, most: int = 12) -> str:
    """A hint: the known names like `word`, or after `otherwise` the first of them all."""
    names = sorted(set(known))
    last = {name.rsplit(".", 1)[-1]: name for name in names}
    close = get_close_matches(word, names, n=3, cutoff=0.6) or [
        last[name] for name in get_close_matches(word.rsplit(".", 1)[-1], last, n=3, cutoff=0.7)
    ]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    listed = ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
    return f"{otherwise} {listed}." if names else ""
