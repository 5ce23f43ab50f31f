"""A text and any number of labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.classification import labelled
from luthier.data.formats.fields import further_fields, kind, text_field
from luthier.data.formats.format import Format
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class MultiLabel(Format):
    """A column of texts and a column of labels, any number of them; the assistant turn lists them, or says `none`.

    `text` and `labels` are the names of the columns. A cell is a list, or a text that is cut at `separator`; an empty
    one has no labels. The assistant turn is what a language model answers to `instruction`.
    """

    text: str = "text"
    labels: str = "labels"
    separator: str = ","
    instruction: str = "Name all classes of the text, separated by commas, or none."

    name = "multi_label"
    columns = ("text", "labels")
    expects = "a column of texts and a column of lists of labels (`text` and `labels`, unless the format names others)"

    def recognises(self, row: dict[str, Any]) -> str:
        given = row.get(self.labels)
        fits = isinstance(given, list) and all(isinstance(one, str) for one in given)
        return f"`{self.text}` holds text and `{self.labels}` labels" if fits and self._has_text(row) else ""

    def _has_text(self, row: dict[str, Any]) -> bool:
        return isinstance(row.get(self.text), str)

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        example, own = further_fields(row, (self.text, self.labels), counts), self._labels(row)
        made = labelled(example, self.instruction, text_field(row, self.text), ", ".join(own) or "none")
        del made["label"]
        return {**made, "labels": own}

    def _labels(self, row: dict[str, Any]) -> list[str]:
        given = row.get(self.labels)
        if isinstance(given, str):
            given = given.split(self.separator) if self.separator else [given]
        if given is None and self.labels in row:
            return []
        if not isinstance(given, list) or not all(isinstance(one, str | int) for one in given):
            found = f"{kind(given)}, where labels are expected" if self.labels in row else "missing"
            raise DataError(f"`{self.labels}` is {found}.")
        return list(dict.fromkeys(label for one in given if (label := _named(one))))


def _named(label: str | int) -> str:
    """As in `Classification`: a boolean is true or false."""
    return str(label).lower() if isinstance(label, bool) else str(label).strip()
