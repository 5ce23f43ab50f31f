"""Text from data, models and recipes, made harmless for where it is shown.

HTML escapes by itself (jinja2's autoescape); what remains are characters that act without being markup: terminal
escapes, bidirectional overrides that make text read as another, Markdown's own signs.
"""

from __future__ import annotations

import re
import unicodedata

_MARKDOWN = re.compile(r"([\\`*_\[\]#|~$])")
_LIST_START = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def visible(text: str) -> str:
    """Control and format characters as signs for the eye: ESC as ⟨U+001B⟩, an override of direction as ⟨U+202E⟩.

    Line breaks and tabs stay. So does the zero-width joiner, which scripts and emoji need.
    """
    return "".join(c if _harmless(c) else f"⟨U+{ord(c):04X}⟩" for c in text.replace("\r\n", "\n"))


def _harmless(character: str) -> bool:
    return character in "\n\t\u200d" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def one_line(text: str) -> str:
    """`visible` text with runs of white space as one space."""
    return " ".join(visible(text).split())


def markdown(text: str) -> str:
    """One line of Markdown that reads as the text: no markup, no HTML, no table cell or list begins in it."""
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text).translate(_ENTITIES))
    return _LIST_START.sub(r"\1\\\2", escaped)


def fenced(text: str, language: str = "") -> str:
    """A Markdown code block around text that may itself hold fences."""
    plain = visible(text).rstrip()
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{plain}\n{fence}"


def clipped(text: str, most: int) -> str:
    """The first `most` characters, and how many more there are."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text) - most:,} more characters)"
