"""The offline teacher: cached top-k log-probabilities in place of the teacher's network."""

from __future__ import annotations

import math
import shlex
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from luthier.api import (
    Batch,
    RecipeError,
    ResourceError,
    TokenSequence,
    hash_of_tokenizer,
    local_path,
    sha256_of_file,
    token_sequences,
)
from luthier_distillation.cache_format import MANIFEST, TopK, read_manifest, sequence_keys
from luthier_distillation.teacher import TeacherDistributions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class OfflineTeacher:
    """Distributions from a teacher cache: the top-k tokens as cached, the remaining probability spread evenly.

    The parts of the cache are memory-mapped: a batch reads its own rows only.
    """

    def __init__(self, folder: str) -> None:
        self.folder = local_path(folder)

    def check(self, student: PreTrainedTokenizerBase) -> None:
        """RecipeError for another tokenizer, ResourceError for a part that is missing or has another sha256."""
        if self.manifest["tokenizer"] != hash_of_tokenizer(student):
            raise RecipeError(
                "The teacher cache was written for another tokenizer than the student's.",
                where="method.offline_teacher",
                hint="Write it again with this student: luthier cache-teacher.",
            )
        for name, expected in self.manifest["sha256"].items():
            if not (self.folder / name).is_file() or sha256_of_file(self.folder / name) != expected:
                raise ResourceError(
                    f"{name} is missing or not as it was written.",
                    where=str(self.folder),
                    hint="Delete it and run luthier cache-teacher again, which makes only what is missing.",
                )

    def __call__(self, batch: Batch, positions: Tensor) -> tuple[TeacherDistributions, Tensor]:
        """The distributions at those `positions` of the flattened batch that have one, and these positions."""
        row_of_position = np.full(batch.input_ids.numel(), -1, dtype=np.int64)
        cached = [self._empty]
        row = 0
        for number, sequence in zip(batch.sequence_numbers, token_sequences(batch), strict=True):
            trained = batch.boundaries[number] + np.flatnonzero(sequence.weights[1:])
            if len(trained):
                cached.append(self._top_k(sequence))
                row_of_position[trained] = np.arange(row, row + len(trained))
                row += len(trained)
        rows = torch.from_numpy(row_of_position)[positions.cpu()]
        ids, log_probs, remainder = (
            torch.from_numpy(np.concatenate(arrays))[rows].to(positions.device) for arrays in zip(*cached, strict=True)
        )
        known = ~remainder.isnan()
        vocab_size = self.manifest["width"]
        return _CachedDistributions(ids[known], log_probs[known], remainder[known], vocab_size), positions[known]

    @property
    def description(self) -> str:
        """The teacher's name and what the cache holds of it, for the report."""
        facts = self.manifest["facts"]
        return (
            f"{self.manifest['teacher']}, offline: the {self.manifest['top']} likeliest tokens at each of "
            f"{facts['tokens']:,} positions, {facts['bytes_per_token']} bytes each; {facts['left_out']:.2%} of the "
            "probability left out"
        )

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of `teacher.json`; RecipeError where the folder has none as it was written."""
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise RecipeError(
                f"{self.folder} is no complete teacher cache: it has no {MANIFEST} as it was written.",
                where="method.offline_teacher",
                hint=f"Run luthier cache-teacher {shlex.quote(str(self.folder))} <the recipe>: it makes only what is "
                "missing.",
            )
        return manifest

    @cached_property
    def _parts(self) -> list[Any]:
        return [safe_open(self.folder / name, framework="np") for name in self.manifest["sha256"]]

    @cached_property
    def _places(self) -> dict[int, tuple[int, int, int]]:
        """Key of a sequence -> its part, and where its tokens begin and end there."""
        places = {}
        for number, part in enumerate(self._parts):
            starts = part.get_tensor("starts").tolist()
            for key, start, stop in zip(part.get_tensor("keys").tolist(), starts, starts[1:], strict=False):
                places[key] = number, start, stop
        return places

    @property
    def _empty(self) -> TopK:
        shape = (0, min(self.manifest["top"], self.manifest["width"]))
        return np.empty(shape, np.int64), np.empty(shape, np.float32), np.empty(0, np.float32)

    def _top_k(self, sequence: TokenSequence) -> TopK:
        """What is cached of the trained tokens of a sequence; RecipeError where the cache does not hold it."""
        place = self._places.get(int(sequence_keys([sequence])[0]))
        if place is None:
            raise RecipeError(
                "The data holds a sequence that is not in the teacher cache.",
                where="method.offline_teacher",
                hint="Run luthier cache-teacher again with this recipe: data, prompt, batch and tokenizer count.",
            )
        number, start, stop = place
        ids, log_probs, left = (
            self._parts[number].get_slice(name)[start:stop] for name in ("ids", "log_probs", "left")
        )
        return ids.astype(np.int64), log_probs.astype(np.float32), left.astype(np.float32)


class _CachedDistributions:
    """Cached top-k tokens of n positions, as distributions over the vocabulary."""

    def __init__(self, ids: Tensor, log_probs: Tensor, remainder: Tensor, vocab_size: int) -> None:
        self.ids, self.log_probs, self.remainder, self.vocab_size = ids, log_probs, remainder, vocab_size

    def __call__(self, rows: slice, temperature: float, vocab_size: int) -> Tensor:
        whole = spread_remainder(self.ids[rows], self.log_probs[rows], self.remainder[rows], self.vocab_size)
        return torch.log_softmax(whole[:, :vocab_size] / temperature, dim=-1)

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


def spread_remainder(ids: Tensor, log_probs: Tensor, remainder: Tensor, vocab_size: int) -> Tensor:
    """log p over the vocabulary, float32 [n, V]: the top-k tokens as given, the remainder evenly over all others."""
    others = remainder.float() - math.log(max(1, vocab_size - ids.shape[1]))
    whole = others.unsqueeze(1).expand(-1, vocab_size).scatter(1, ids.long(), log_probs.float())
    return torch.log_softmax(whole, dim=-1)
