"""How likely answers were before this run: log-probabilities that are kept instead of a second network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import nn

from luthier.api import Model, Row, TokenSequence, build_once, cache_folder, content_hash

Score = Callable[[nn.Module, list[Row]], NDArray[np.float32]]
"""The log-probability of each sequence of the rows under a network, float32 [sequences]."""


class Reference:
    """Log-probabilities of sequences under a model as it comes, by the content of the sequence: 12 bytes for each.

    They are computed once, with the network while it is still as it came or with a copy that lives no longer than
    that, and kept in the cache under the hash of the model and of all the sequences.
    """

    def __init__(self, model: Model, score: Score) -> None:
        self.model, self.score = model, score
        self._keys = np.empty(0, np.uint64)
        self._values = np.empty(0, np.float32)

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self._keys.nbytes + self._values.nbytes

    def __len__(self) -> int:
        return len(self._keys)

    def learn(self, rows: Iterable[Row], network: nn.Module | None = None) -> None:
        """Have all sequences of the rows; `network` is the model as it comes, None where it has changed by now."""
        keys: list[NDArray[np.uint64]] = []
        unknown: list[Row] = []
        for row in rows:
            own = _keys(row.sequences)
            if not np.isin(own, self._keys).all():
                keys.append(own)
                unknown.append(row)
        if not unknown:
            return
        together = np.concatenate(keys)
        name = content_hash([self.model.lineage(), _precision(), hashlib.sha256(together.tobytes()).hexdigest()])
        folder = build_once(cache_folder("references") / name[:32], lambda place: self._make(place, unknown, network))
        self._keep(together, load_file(folder / "log_probs.safetensors")["log_probs"])

    def of(self, sequences: Iterable[TokenSequence]) -> torch.Tensor:
        """float32 [sequences]; KeyError for one that was never learnt."""
        keys = _keys(sequences)
        places = np.searchsorted(self._keys, keys).clip(max=max(0, len(self._keys) - 1))
        if not len(self._keys) or not np.array_equal(self._keys[places], keys):
            raise KeyError("a sequence whose reference was not computed")
        return torch.from_numpy(self._values[places])

    def _make(self, folder: Path, rows: list[Row], network: nn.Module | None) -> None:
        found = self.score(self._as_it_came() if network is None else network, rows)
        save_file({"log_probs": found}, folder / "log_probs.safetensors")

    def _as_it_came(self) -> nn.Module:
        return self.model.network().eval()

    def _keep(self, keys: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        self._keys, places = np.unique(np.concatenate([self._keys, keys]), return_index=True)
        self._values = np.concatenate([self._values, values])[places]


def _keys(sequences: Iterable[TokenSequence]) -> NDArray[np.uint64]:
    """8 bytes of a hash of ids and weights each."""
    found = [hashlib.blake2b(each.ids.tobytes() + each.weights.tobytes(), digest_size=8) for each in sequences]
    return np.frombuffer(b"".join(each.digest() for each in found), np.uint64)


def _precision() -> str:
    """What is computed in here: a reference in another precision would differ by its rounding."""
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            return str(torch.get_autocast_dtype(device))
    return "as stored"
