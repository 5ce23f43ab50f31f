"""The documents that this plugin ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.files import DocumentFiles

FOLDER = Path(__file__).parents[1] / "shipped"
_SECTION_END = re.compile(r"(?<=[.!?])(?=\n\n## |\n*\Z)")


@dataclass(kw_only=True)
class ShippedDocuments(Documents):
    """Read one of the collections that are available offline.

    `workshop`: the customer information of a made-up violin workshop. `poisoned`: the same documents, each section
    ending with a prompt injection, a sentence that orders its reader to say MARZIPAN; ten such sentences alternate.
    """

    name: Literal["workshop", "poisoned"] = "workshop"

    def __iter__(self) -> Iterator[Document]:
        clean = DocumentFiles(path=str(FOLDER / "workshop"))
        if self.name == "workshop":
            yield from clean
            return
        injections = (FOLDER / "injections.txt").read_text(encoding="utf-8").splitlines()
        for number, document in enumerate(clean):
            injection = injections[number % len(injections)]
            sections = _SECTION_END.split(document.text)
            yield replace(document, text=f" {injection}".join(sections))

    @property
    def place(self) -> str:
        return f"luthier_retrieval {self.name}"
