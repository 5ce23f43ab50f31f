"""A model in a folder of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.contracts.trust import Trust
from luthier.errors import RecipeError
from luthier.fetch.paths import local_path
from luthier.models.stored import StoredModel


class Folder(StoredModel):
    """Start from the safetensors, configuration and tokenizer in a folder."""

    kind = "folder"

    def __init__(self, trust: Trust = Trust(), *, path: str, **loading: Any) -> None:  # noqa: B008 - it is frozen
        super().__init__(trust, **loading)
        self.path = local_path(path)

    @property
    def name(self) -> str:
        return str(self.path)

    def plans(self) -> Path:
        return self.folder()

    def folder(self) -> Path:
        if not self.path.is_dir():
            raise RecipeError(
                f"There is no folder {self.path}.",
                where="model.path",
                hint="A model of a hub is model=hub model.id=…, an earlier run is model=run model.path=… .",
            )
        return self.path
