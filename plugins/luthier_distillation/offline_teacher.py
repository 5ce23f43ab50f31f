"""What a teacher said, kept on the disk: for each token its likeliest next ones, so that nobody asks it again.

A folder has parts, `part-00000.safetensors` and so on, and `teacher.json`, written last, which names each part's
sha256. A part holds sequences one after another: `keys` uint64 [s] name their content, `starts` int64 [s + 1] where
the tokens of each begin, `ids` [n, k] and `log_probs` float16 [n, k] the likeliest next tokens, `left` float16 [n]
the logarithm of the probability of all others together, NaN where nothing is known of a token. Parts are memory-mapped:
a batch touches its own rows.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from luthier.api import (
    Batch,
    RecipeError,
    ResourceError,
    TokenSequence,
    hash_of_tokenizer,
    sha256_of_file,
    token_sequences,
)
from luthier_distillation.teacher import Told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MANIFEST, FORMAT = "teacher.json", 1


class OfflineTeacher:
    """A teacher that is not there: the distribution of each token is its kept part, the rest spread evenly."""

    bytes = 0

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder).expanduser()

    def check(self, student: PreTrainedTokenizerBase) -> None:
        """RecipeError for another vocabulary, ResourceError where a file is not as it was written."""
        if self.manifest["tokenizer"] != hash_of_tokenizer(student):
            raise RecipeError(
                "What the teacher said is kept for another tokenizer than the student's.",
                where="method.kept",
                hint="Write it again with this student: luthier cache-teacher.",
            )
        for name, expected in self.manifest["sha256"].items():
            if not (self.folder / name).is_file() or sha256_of_file(self.folder / name) != expected:
                raise ResourceError(
                    f"{name} is missing or not as it was written.",
                    where=str(self.folder),
                    hint="Delete it and run luthier cache-teacher again, which makes only what is missing.",
                )

    def __call__(self, batch: Batch, where: Tensor) -> tuple[Told, Tensor]:
        """What was said about those places of the flattened batch, and the places about which anything was."""
        laid = np.full(batch.input_ids.numel(), -1, dtype=np.int64)
        found = [self._nothing]
        begin = 0
        for number, each in zip(batch.sequence_numbers, token_sequences(batch), strict=True):
            places = batch.boundaries[number] + np.flatnonzero(each.weights[1:])
            if len(places):
                found.append(self._of(each))
                laid[places] = np.arange(begin, begin + len(places))
                begin += len(places)
        order = torch.from_numpy(laid)[where.cpu()]
        ids, log_probs, left = (
            torch.from_numpy(np.concatenate(each))[order].to(where.device) for each in zip(*found, strict=True)
        )
        known = ~left.isnan()
        return _Said(ids[known], log_probs[known], left[known], self.manifest["width"]), where[known]

    @property
    def said(self) -> str:
        facts = self.manifest["facts"]
        return (
            f"{self.manifest['teacher']}, kept: the {self.manifest['top']} likeliest of each of {facts['tokens']:,} "
            f"tokens, {facts['bytes_per_token']} bytes each; {facts['left_out']:.2%} of the probability left out"
        )

    @cached_property
    def manifest(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RecipeError(
                f"{self.folder} holds nothing that a teacher said, or not all of it.",
                where="method.kept",
                hint=f"Write it with luthier cache-teacher {self.folder} <the recipe>.",
            ) from error
        return found

    @cached_property
    def _parts(self) -> list[Any]:
        return [safe_open(self.folder / name, framework="np") for name in self.manifest["sha256"]]

    @cached_property
    def _places(self) -> dict[int, tuple[int, int, int]]:
        """Key of a sequence -> its part, and where its tokens begin and end there."""
        found = {}
        for number, part in enumerate(self._parts):
            starts = part.get_tensor("starts").tolist()
            for key, begin, end in zip(part.get_tensor("keys").tolist(), starts, starts[1:], strict=False):
                found[key] = (number, begin, end)
        return found

    @property
    def _nothing(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        width = (0, min(self.manifest["top"], self.manifest["width"]))
        return np.empty(width, np.int64), np.empty(width, np.float32), np.empty(0, np.float32)

    def _of(self, sequence: TokenSequence) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        place = self._places.get(int(keys([sequence])[0]))
        if place is None:
            raise RecipeError(
                "The data holds a sequence that the teacher was not asked about.",
                where="method.kept",
                hint="Run luthier cache-teacher again with this recipe: data, prompt, batch and tokenizer count.",
            )
        number, begin, end = place
        cut = [self._parts[number].get_slice(name)[begin:end] for name in ("ids", "log_probs", "left")]
        return cut[0].astype(np.int64), cut[1].astype(np.float32), cut[2].astype(np.float32)


class _Said:
    """The kept part of n tokens."""

    def __init__(self, ids: Tensor, log_probs: Tensor, left: Tensor, width: int) -> None:
        self.ids, self.log_probs, self.left, self.width = ids, log_probs, left, width

    def __call__(self, rows: slice, temperature: float, width: int) -> Tensor:
        whole = spread(self.ids[rows], self.log_probs[rows], self.left[rows], self.width)[:, :width]
        return torch.log_softmax(whole / temperature, dim=-1)

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


def spread(ids: Tensor, log_probs: Tensor, left: Tensor, width: int) -> Tensor:
    """log p over the vocabulary, float32 [n, width]: the kept tokens as they are, what is left evenly on all others."""
    others = left.float() - math.log(max(1, width - ids.shape[1]))
    whole = others.unsqueeze(1).expand(-1, width).scatter(1, ids.long(), log_probs.float())
    return torch.log_softmax(whole, dim=-1)


def keys(given: Iterable[TokenSequence]) -> NDArray[np.uint64]:
    """8 bytes of a hash of ids and weights each."""
    found = [hashlib.blake2b(each.ids.tobytes() + each.weights.tobytes(), digest_size=8) for each in given]
    return np.frombuffer(b"".join(each.digest() for each in found), np.uint64)
