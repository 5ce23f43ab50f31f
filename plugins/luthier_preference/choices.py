"""Multiple-choice questions as preference pairs: the right option is preferred to a wrong one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, Format, further_fields, text_field

if TYPE_CHECKING:
    from luthier.api import Example

_OPTION = re.compile(r"^\s*([A-Za-z])\s*[:.)]\s*(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Choices(Format):
    """Multiple-choice questions: `input` is a conversation that ends with lettered options, `ideal` the right one.

    Each option is a line of the last message; `ideal` is its letter or the whole line. The question without its options
    is the prompt, the right option the chosen answer and the first wrong one the rejected answer; `further_options`
    counts the other wrong ones. With `shown` the options stay in the prompt.
    """

    shown: bool = False

    name = "choices"
    expects = "`input`, a conversation that ends with a question and its lettered options, and `ideal`"

    def recognises(self, row: dict[str, Any]) -> str:
        return ""  # other data sets of this layout have no options, so the format is never detected

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        messages = row.get("input")
        if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
            raise DataError("`input` is not a conversation.")
        question = text_field(messages[-1], "content")
        options = {letter.upper(): text for letter, text in _OPTION.findall(question)}
        right = text_field(row, "ideal").strip()[:1].upper()
        wrong = [text for letter, text in options.items() if letter != right]
        if right not in options or not wrong:
            raise DataError(f"{row['ideal']!r} is none of the options {', '.join(options)}, or the only one.")
        counts["further_options"] += len(wrong) - 1
        prompt = question.strip() if self.shown else _OPTION.sub("", question).strip()
        return {
            **further_fields(row, ("input", "ideal"), counts),
            "messages": [{"role": "user", "content": prompt}],
            "chosen": [{"role": "assistant", "content": options[right]}],
            "rejected": [{"role": "assistant", "content": wrong[0]}],
        }
