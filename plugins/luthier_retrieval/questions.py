"""Questions about the documents that this plugin ships."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from luthier.api import (
    Format,
    JsonLines,
    PromptCompletion,
    Record,
    RecordsSource,
    file_state,
    sha256_of_file,
)
from luthier_retrieval.documents.shipped import FOLDER

FILE, NAME = FOLDER / "questions.jsonl", "luthier_retrieval/questions.jsonl"


@dataclass(kw_only=True)
class WorkshopQuestions(RecordsSource):
    """Read 64 questions about `prompt/documents=workshop`, each with a short answer and the document that holds it.

    14 further questions have no relevant document; their answer is that it is not in the documents.
    """

    format: Format | str = field(default_factory=PromptCompletion)

    def records(self) -> Iterator[Record]:
        return JsonLines().records(FILE, NAME)

    def files_now(self) -> Any:
        return list(file_state(FILE))

    def origin(self) -> dict[str, Any]:
        file = {"name": NAME, "sha256": sha256_of_file(FILE), "bytes": FILE.stat().st_size}
        return {"files": [file], "licence": "Apache-2.0"}
