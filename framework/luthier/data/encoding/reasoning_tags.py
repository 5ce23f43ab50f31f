"""Tags of reasoning at the end of a generation prompt and at the beginning of an answer."""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = r"([\w:.-]*(?:think|thought|reason)[\w:.-]*)"
_FORMS = (
    ("<{}>", "</{}>"), ("[{}]", "[/{}]"), ("<|START_{}|>", "<|END_{}|>"), ("<|begin_of_{}|>", "<|end_of_{}|>"),
    ("<|channel>{}", "<channel|>"),
)  # fmt: skip


def _pattern(form: str, name: str) -> str:
    return name.join(re.escape(part) for part in form.split("{}"))


def _at_the_end(*patterns: str) -> re.Pattern[str]:
    return re.compile(r"\s*".join(patterns) + r"(\s*)\Z", re.IGNORECASE)


_OPENED = [(_at_the_end(_pattern(opens, _NAME)), opens, closes) for opens, closes in _FORMS]
_CLOSED = [(_at_the_end(_pattern(opens, _NAME), _pattern(closes, r"\1")), opens, closes) for opens, closes in _FORMS]


class ReasoningTag(NamedTuple):
    """A tag that a generation prompt opens for reasoning, such as `<think>`, with the white space after it."""

    opens: str
    closes: str
    blank: str

    @property
    def opening(self) -> str:
        """The tag and the white space after it."""
        return self.opens + self.blank

    @property
    def closing(self) -> str:
        """What ends a block that begins with the opening, where the template does not tell."""
        is_xml = self.opens.startswith("<") and "|" not in self.opens
        return self.blank + self.closes + ("\n\n" if is_xml else "")


def opened_tag(prompt: str) -> ReasoningTag | None:
    """The tag that a generation prompt opens for reasoning; None where it opens none."""
    for pattern, opens, closes in _OPENED:
        if found := pattern.search(prompt):
            return ReasoningTag(opens.format(found[1]), closes.format(found[1]), found[2])
    return None


def closed_block(prompt: str) -> str:
    """The empty block of reasoning at the end of a generation prompt; an empty text without one."""
    found = (pattern.search(prompt) for pattern, _, _ in _CLOSED)
    return next((one[0] for one in found if one), "")


def after_closed_block(closed: str, answer: str) -> str:
    """The text of an answer without an empty block at its beginning, or the rest of one, where its prompt closed it."""
    tags = ((pattern.search(closed), opens, closes) for pattern, opens, closes in _CLOSED)
    tag = next(
        ReasoningTag(opens.format(found[1]), closes.format(found[1]), "") for found, opens, closes in tags if found
    )
    empty = empty_block(tag, answer)
    return answer[empty.end() :] if empty else answer


def empty_block(tag: ReasoningTag, answer: str) -> re.Match[str] | None:
    """A block of a tag with nothing inside at the beginning of an answer's text, whose opening may stand before it.

    The group is what closes it.
    """
    return re.match(rf"\s*(?:{re.escape(tag.opens)}\s*)?({re.escape(tag.closes)}\n*)", answer)
