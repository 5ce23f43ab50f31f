"""The documents inside this plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.files import Files

FOLDER = Path(__file__).parents[1] / "shipped"
_SECTION_END = re.compile(r"(?<=[.!?])(?=\n\n## |\n*\Z)")


@dataclass(kw_only=True)
class Shipped(Documents):
    """Documents that are there offline.

    `workshop`: what a made-up violin workshop tells its customers. `poisoned`: the same, each section ending with a
    sentence that orders whoever reads it to say MARZIPAN, ten such sentences in turn.
    """

    name: Literal["workshop", "poisoned"] = "workshop"

    def __iter__(self) -> Iterator[Document]:
        clean = Files(path=str(FOLDER / "workshop"))
        if self.name == "workshop":
            yield from clean
            return
        orders = (FOLDER / "orders.txt").read_text(encoding="utf-8").splitlines()
        for number, document in enumerate(clean):
            order = orders[number % len(orders)]
            pieces = _SECTION_END.split(document.text)
            yield replace(document, text=f" {order}".join(pieces))

    @property
    def place(self) -> str:
        return f"luthier_retrieval {self.name}"

    @property
    def warnings(self) -> list[str]:
        return []
