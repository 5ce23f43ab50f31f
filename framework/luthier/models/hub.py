"""A model of the Hugging Face hub."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from luthier.contracts.trust import Trust
from luthier.errors import RecipeError, Refused, ResourceError
from luthier.fetch import cache
from luthier.fetch.once import NotYetError
from luthier.models.safety import refuse_pickles
from luthier.models.stored import StoredModel

PLANS = ["*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt", "README.md"]
COMMIT = re.compile(r"[0-9a-f]{40}")


class Hub(StoredModel):
    """Start from a model of the Hugging Face hub, or of the mirror that HF_ENDPOINT names.

    A private or gated model needs HF_TOKEN in the environment: a token never stands in a recipe. Pin `revision` to
    a commit to get the same weights each time; the commit that was found is in the run's lineage either way. What
    was fetched once is found again offline (HF_HUB_OFFLINE=1).
    """

    kind = "hub"

    def __init__(
        self,
        trust: Trust = Trust(),  # noqa: B008 - it is frozen
        *,
        id: str,
        revision: str | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(trust, **loading)
        self.id, self.revision = id, revision

    @property
    def name(self) -> str:
        return self.id

    def plans(self) -> Path:
        return self._plans

    def folder(self) -> Path:
        return self._folder

    @cached_property
    def _plans(self) -> Path:
        if self.trusted and not COMMIT.fullmatch(self.revision or ""):
            raise Refused(
                f"{self.id} brings code of its own, and its revision is not pinned.",
                where="model.revision",
                hint="Set model.revision to the 40 hexadecimal digits of the commit whose code you read.",
            )
        return self._download(PLANS, self.revision)

    @cached_property
    def _folder(self) -> Path:
        commit = self._plans.name  # the hub's cache keeps each commit in a folder of that name
        folder = self._download([*PLANS, "*.safetensors"], commit)
        if not any(folder.glob("*.safetensors")):
            refuse_pickles(self._names(commit), owner=self.id)
        return folder

    def _names(self, commit: str) -> list[str]:
        try:
            return HfApi(endpoint=_endpoint()).list_repo_files(self.id, revision=commit)
        except Exception as error:  # whatever the client is built on raises its own
            raise ResourceError(f"{self.id} holds no .safetensors file, and the hub does not say why.") from error

    def lineage(self) -> dict[str, Any]:
        return super().lineage() | {"revision": self._plans.name}

    def _download(self, patterns: list[str], revision: str | None) -> Path:
        offline = cache.cache_is_read_only()
        try:
            found = snapshot_download(
                self.id, revision=revision, allow_patterns=patterns, endpoint=_endpoint(), local_files_only=offline
            )
            return Path(found)
        except GatedRepoError as error:
            raise ResourceError(
                f"{self.id} is gated: its owner wants to know who you are.",
                hint="Accept its terms on the hub and put your token into the environment as HF_TOKEN.",
            ) from error
        except RepositoryNotFoundError as error:
            raise RecipeError(
                f"The hub has no model {self.id!r}, or you may not see it.",
                where="model.id",
                hint="Check the name; for a private model put your token into the environment as HF_TOKEN.",
            ) from error
        except RevisionNotFoundError as error:
            raise RecipeError(f"{self.id} has no revision {revision!r}.", where="model.revision") from error
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
            if offline:
                raise NotYetError(f"{self.id} is not in the cache yet.", where="model.id") from error
            raise ResourceError(
                f"{self.id} could not be fetched from the hub: {str(error).strip().splitlines()[0].rstrip('.')}.",
                hint="Without a network use model=folder, or model=smollm2, which a package carries.",
            ) from error


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None
