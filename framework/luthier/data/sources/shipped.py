"""The data sets that are part of luthier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from luthier.data.readers.json_lines import JsonLines
from luthier.data.records import Record
from luthier.data.sources.files import described_file, file_state
from luthier.data.sources.records_source import RecordsSource

FILES = {"tiny": "tiny.jsonl", "demo": "demo.jsonl", "general": "general/passages.jsonl"}
HERE = Path(__file__).parents[1]


@dataclass(kw_only=True)
class Shipped(RecordsSource):
    """A data set that is part of luthier and is available offline.

    `tiny`: 16 examples that any method can train on; `demo`: 600 made-up reviews of instruments, happy or unhappy;
    `general`: 98 passages of prose, whose loss measures forgetting.
    """

    name: Literal["tiny", "demo", "general"]

    def records(self) -> Iterator[Record]:
        return JsonLines().records(HERE / FILES[self.name], self._name())

    def files_now(self) -> Any:
        return list(file_state(HERE / FILES[self.name]))

    def origin(self) -> dict[str, Any]:
        files = [described_file(HERE / FILES[self.name], self._name())]
        return {"files": files, **({} if self.name == "general" else {"licence": "Apache-2.0"})}

    def _name(self) -> str:
        return f"luthier/{FILES[self.name]}"
