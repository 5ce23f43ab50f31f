"""A text and its class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.fields import further_fields, kind, text_field
from luthier.data.formats.format import Format
from luthier.errors import DataError
from luthier.errors.suggestions import nearest

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


def classification_question(instruction: str, text: str) -> str:
    """The user turn: the instruction with `{text}` replaced by the text, or followed by a blank line and the text."""
    if "{text}" in instruction:
        return instruction.replace("{text}", text)
    return f"{instruction}\n\n{text}" if instruction else text


def labelled(example: Example, instruction: str, text: str, label: str) -> Example:
    """The example with `text`, `label` and `messages`, in which the assistant turn is the label."""
    messages = [
        {"role": "user", "content": classification_question(instruction, text)},
        {"role": "assistant", "content": label},
    ]
    return {**example, "messages": messages, "text": text, "label": label}


@dataclass(frozen=True)
class Classification(Format):
    """A column of texts and a column of labels; the assistant turn is the label.

    `text` and `label` are the names of the columns. `instruction` is the user turn, in which `{text}` is replaced by
    the text; without `{text}` the text follows after a blank line. `names` are the names of integer labels, in order
    from 0. Labels may be texts, integers or booleans; white space around them is removed.
    """

    text: str = "text"
    label: str = "label"
    instruction: str = "Classify the text. Answer with its class and nothing else."
    names: list[str] | None = None

    name = "classification"
    columns = ("text", "label")
    expects = "a column of texts and a column of labels (`text` and `label`, unless the format names others)"
    synonyms = {  # noqa: RUF012
        "text": ("sentence", "review", "content", "tweet", "query", "question", "utterance", "message", "title"),
        "label": ("category", "class", "intent", "sentiment", "target", "labels", "topic"),
    }

    @property
    def keys(self) -> tuple[tuple[str, str]]:
        return ((self.text, self.label),)

    def recognises(self, row: dict[str, Any]) -> str:
        fits = isinstance(row.get(self.text), str) and isinstance(row.get(self.label), (str, int))
        return f"`{self.text}` holds text and `{self.label}` a class" if fits else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        example = further_fields(row, (self.text, self.label), counts)
        return labelled(example, self.instruction, text_field(row, self.text), self._named(row))

    def _named(self, row: dict[str, Any]) -> str:
        label = row.get(self.label)
        if isinstance(label, (bool, int)) or (self.names and isinstance(label, str) and label.strip().isdigit()):
            if self.names is None:
                return str(label).lower()
            if not 0 <= int(label) < len(self.names):
                raise DataError(f"`{self.label}` is {label}, where names are given for 0 to {len(self.names) - 1}.")
            return self.names[int(label)]
        if isinstance(label, str) and label.strip():
            if self.names and label.strip() not in self.names:
                hint = nearest(label.strip(), self.names, "The names are")
                raise DataError(f"`{self.label}` is {label.strip()!r}, which is none of data.format.names.", hint=hint)
            return label.strip()
        hint = "Cut a column of numbers into classes with data/format=rated." if isinstance(label, float) else ""
        found = f"{kind(label)}, where a label is expected" if self.label in row else "missing"
        raise DataError(f"`{self.label}` is {found}.", hint=hint)
