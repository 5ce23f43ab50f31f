"""The block in which a chat template shows reasoning, and which some templates write even where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from luthier.data.encoding.message_forms import ASKED, SAID, THOUGHT, Message
from luthier.errors import DataError

CLOSE = "</think>"
_QUESTION = {"role": "user", "content": ASKED}


class Renders(Protocol):
    """A chat template, as far as its block is found by rendering it."""

    def render(self, messages: Sequence[Message], tools: Any = None, *, answer: bool = False, where: str = "") -> str:
        """The text of the messages; with `answer`, followed by the generation prompt."""


@dataclass(frozen=True, slots=True)
class ReasoningBlock:
    """The text before and after reasoning; `always`: an answer without reasoning has both, with nothing between."""

    opening: str
    closing: str
    always: bool

    @classmethod
    def of(cls, template: Renders) -> ReasoningBlock | None:
        """That of a template; None where the template does not render reasoning."""
        answer = {"role": "assistant", "content": SAID}
        try:
            thought = template.render([_QUESTION, {**answer, "reasoning_content": THOUGHT}])
            plain, prompt = template.render([_QUESTION, answer]), template.render([_QUESTION], answer=True)
        except DataError:
            return None
        at = thought.find(THOUGHT)
        said = thought.find(SAID, at)
        if at < 0 or said < 0:
            return None
        opening = thought[_before_a_tag(thought, common_length(thought, prompt)) : at]
        always = _squeezed(thought.replace(THOUGHT, "")) == _squeezed(plain)
        return cls(opening, thought[at + len(THOUGHT) : said], always)

    def empty_in(self, answer: str) -> int:
        """The length of an empty block at the beginning of an answer's text, which may have been opened before it."""
        tag = self.closing.strip()
        at = answer.find(tag) if self.always and tag else -1
        if at < 0 or answer[:at].strip() not in ("", self.opening.strip()):
            return 0
        blank = self.closing[len(self.closing.rstrip()) :]
        end = at + len(tag)
        return end + len(blank) if answer.startswith(blank, end) else end


def has_reasoning(message: Message) -> bool:
    """Whether a message has reasoning: in its own field, or as a `<think>` block in its content."""
    return bool(message.get("reasoning_content")) or CLOSE in (message.get("content") or "")


def common_length(one: str, other: str) -> int:
    """The number of characters with which both texts begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def _before_a_tag(text: str, place: int) -> int:
    """The place, or the beginning of the tag that it lies in."""
    inside = re.search(r"[<\[][^<>\[\]\s]*\Z", text[:place])
    return inside.start() if inside else place


def _squeezed(text: str) -> str:
    return "".join(text.split())
