"""Cloze questions from documents: one amount of each document is blanked out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.api import Format, text_field

if TYPE_CHECKING:
    from luthier.api import Example

AMOUNT = re.compile(r"[$€£]\s?\d[\d,]*(?:\.\d+)?|\b\d+(?:\.\d+)?\s?%")
END = re.compile(r"(?<=[.!?])\s+|\n+")
BLANK = "____"


@dataclass(frozen=True)
class FillIn(Format):
    """Blank out the amount in the first sentence of a document that has exactly one amount of money or percentage.

    `title` and `content` name the columns, `id` that of the document's name, which becomes `relevant`. Sentences of
    fewer than `shortest` or more than `longest` characters are ignored; a document without a suitable sentence is
    dropped and counted as `without_an_amount`. The question is the `instruction`, the title and the sentence.
    """

    title: str = "title"
    content: str = "content"
    id: str = "id"
    shortest: int = 40
    longest: int = 240
    instruction: str = "What belongs in the blank? Answer with the amount and nothing else."

    name = "fill_in"
    columns = ("title", "content", "id")
    expects = "`title`, `content` and `id`, unless the format names other columns"

    def recognises(self, row: dict[str, Any]) -> str:
        return ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        for sentence in END.split(text_field(row, self.content)):
            sentence = sentence.strip(" -*#|>")
            amounts = AMOUNT.findall(sentence)
            if len(amounts) == 1 and self.shortest <= len(sentence) <= self.longest:
                question = "\n\n".join([self.instruction, text_field(row, self.title), AMOUNT.sub(BLANK, sentence)])
                answer = {"role": "assistant", "content": amounts[0]}
                name = text_field(row, self.id)
                return {"messages": [{"role": "user", "content": question}, answer], "relevant": [name], "id": name}
        counts["without_an_amount"] += 1
        return None
