"""Cached log-probabilities of answers under the reference policy, in place of a second network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from luthier.api import Model, Row, TokenSequence, build_once, cache_folder, content_hash

SequenceScorer = Callable[[nn.Module, list[Row]], NDArray[np.float32]]
"""The log-probability of each sequence of the rows under a network, float32 [sequences]."""


class EncodedRows(Protocol):
    """The rows of a split, such as its blocks."""

    @property
    def row_count(self) -> int: ...

    def row(self, number: int) -> Row: ...

    def example(self, row: int) -> int: ...


class ReferenceLogProbabilities:
    """Log-probabilities of sequences under a model before adaptation, looked up by content: 12 bytes per sequence.

    They are computed once, with the unadapted network or with a temporary copy, and cached on disk under the hash of
    the model and of all the sequences.
    """

    def __init__(self, model: Model, score: SequenceScorer) -> None:
        self.model, self.score = model, score
        self._keys = np.empty(0, np.uint64)
        self._values = np.empty(0, np.float32)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self._keys.nbytes + self._values.nbytes

    def __len__(self) -> int:
        return len(self._keys)

    def compute(self, rows: Iterable[Row], network: nn.Module | None = None) -> None:
        """Compute those of all sequences of the rows, or read them from the cache.

        `network` is the model before adaptation; None where it has been adapted, so that a copy is loaded.
        """
        keys: list[NDArray[np.uint64]] = []
        unknown: list[Row] = []
        for row in rows:
            row_keys = _keys(row.sequences)
            if not np.isin(row_keys, self._keys).all():
                keys.append(row_keys)
                unknown.append(row)
        if not unknown:
            return
        all_keys = np.concatenate(keys)
        name = content_hash([self.model.lineage(), _precision(), hashlib.sha256(all_keys.tobytes()).hexdigest()])
        folder = build_once(cache_folder("references") / name[:32], lambda place: self._write(place, unknown, network))
        self._add(all_keys, load_file(folder / "log_probs.safetensors")["log_probs"])

    def lookup(self, sequences: Iterable[TokenSequence]) -> torch.Tensor:
        """float32 [sequences]; KeyError for a sequence that was not computed."""
        keys = _keys(sequences)
        places = np.searchsorted(self._keys, keys).clip(max=max(0, len(self._keys) - 1))
        if not len(self._keys) or not np.array_equal(self._keys[places], keys):
            raise KeyError("a sequence whose reference log-probability was not computed")
        return torch.from_numpy(self._values[places])

    def _write(self, folder: Path, rows: list[Row], network: nn.Module | None) -> None:
        log_probs = self.score(self.model.network().eval() if network is None else network, rows)
        save_file({"log_probs": log_probs}, folder / "log_probs.safetensors")

    def _add(self, keys: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        self._keys, places = np.unique(np.concatenate([self._keys, keys]), return_index=True)
        self._values = np.concatenate([self._values, values])[places]


def _keys(sequences: Iterable[TokenSequence]) -> NDArray[np.uint64]:
    """The first 8 bytes of a hash of the ids and weights of each sequence, uint64 [sequences]."""
    hashes = [hashlib.blake2b(each.ids.tobytes() + each.weights.tobytes(), digest_size=8) for each in sequences]
    return np.frombuffer(b"".join(each.digest() for each in hashes), np.uint64)


def _precision() -> str:
    """The autocast dtype: log-probabilities in another precision differ by rounding and are cached apart."""
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            return str(torch.get_autocast_dtype(device))
    return "as stored"
