"""The JSON export of Label Studio for entities of a text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.fields import kind, text_field
from luthier.data.formats.format import Format
from luthier.data.formats.spans import INSTRUCTION, with_entities
from luthier.data.tagging.entities import checked_entities
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

UNFINISHED = "task_without_annotation_left_out"
FURTHER = "further_annotations_left_out"


@dataclass(frozen=True)
class LabelStudio(Format):
    """Tasks of Label Studio with `data` and `annotations`, whose regions have `start`, `end` and `labels`.

    `text` is the name of the text in `data`; null takes the only text there, or the one called `text`. Of several
    annotations the first that was not cancelled is used; a task without one is left out. Both are counted.
    """

    text: str | None = None
    instruction: str = INSTRUCTION

    name = "label_studio"
    expects = "tasks of Label Studio with `data` and `annotations`"

    def recognises(self, row: dict[str, Any]) -> str:
        fits = isinstance(row.get("data"), dict) and isinstance(row.get("annotations"), list)
        return "`data` and `annotations` are those of a task of Label Studio" if fits else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example | None:
        if not self.recognises(row):
            raise DataError(f"The row has the keys {', '.join(row)}, where {self.expects} are expected.")
        data: dict[str, Any] = row["data"]
        text = text_field(data, self._text(data))
        done = [one for one in row["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
        if not done:
            counts[UNFINISHED] += 1
            return None
        counts[FURTHER] += len(done) - 1
        regions = [
            one for one in done[0].get("result") or [] if one.get("type", "labels") in ("labels", "hypertextlabels")
        ]
        entities = checked_entities(text, [_entity(one) for one in regions], counts)
        further = {key: value for key, value in data.items() if isinstance(value, (int, float)) and key != "where"}
        return with_entities(further, self.instruction, text, entities)

    def _text(self, data: dict[str, Any]) -> str:
        if self.text is not None:
            return self.text
        texts = [key for key, value in data.items() if isinstance(value, str)]
        if "text" in texts or len(texts) != 1:
            return "text"
        return texts[0]


def _entity(region: Any) -> dict[str, Any]:
    value = region.get("value") if isinstance(region, dict) else None
    labels = (value.get("labels") or value.get("hypertextlabels")) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(labels, list) or len(labels) != 1:
        found = f"{len(labels)} labels" if isinstance(labels, list) else f"{kind(labels)} as `labels`"
        raise DataError(f"A region has {found}, and one is expected.")
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        raise DataError("A region has no `start` and `end` in characters of the text.")
    return {"start": start, "end": end, "label": str(labels[0])}
