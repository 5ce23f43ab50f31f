"""The embedder of an earlier run, as an answer to `prompt/embedding`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from luthier.api import (
    Artifact,
    Embedding,
    RecipeError,
    Vectors,
    find_artifact,
    load,
    sha256_of_file,
)


class TunedEmbedding(Embedding):
    """Embed texts with the artifact of an earlier run of `method=embed`, with its own prompts and pooling.

    `dimensions` takes the first so many numbers of embeddings. An index is built again where any file of the artifact
    that says how texts are embedded is another one.
    """

    def __init__(self, *, path: str, dimensions: int | None = None) -> None:
        self.path, self.dimensions = path, dimensions
        self._one_at_a_time = Lock()

    def __call__(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        with self._one_at_a_time:
            return self._embedder.embed(texts, kind="query" if is_query else "document", dimensions=self.dimensions)

    @cached_property
    def _embedder(self) -> Artifact:
        model = load(self.path)
        if model.embedding is None:
            raise RecipeError(
                f"The run in {self.path} trained no embedder.",
                where="prompt.search.embedding.path",
                hint="Name a run of method=embed.",
            )
        return model

    def identity(self) -> str:
        folder = find_artifact(self.path)
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        told = {"embedding": manifest.get("embedding"), "base": manifest["model"].get("sha256")}
        files = {file.name: sha256_of_file(file) for file in _files(folder)}
        return json.dumps(["run", told, files, self.dimensions], sort_keys=True)


def _files(folder: Path) -> list[Path]:
    """What embeddings depend on: weights, their configuration and the tokenizer."""
    names = ("config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json")
    return [*sorted(folder.glob("*.safetensors")), *(folder / name for name in names if (folder / name).is_file())]
