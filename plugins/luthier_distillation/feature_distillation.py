"""Signals that look inside both networks: what layers of the student pass on, or attend to, like the teacher's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from torch.utils.checkpoint import checkpoint

from luthier.api import Batch, RecipeError
from luthier_distillation.activations import Heads, Watch
from luthier_distillation.signals import Signal

Distance = Literal["mse", "cosine"]
Projection = Literal["where_needed", "always", "never"]


@dataclass(frozen=True, slots=True)
class Both:
    """What was seen in student and teacher, and n places to compare: `where` in the student's batch, `there` in its.

    `same` says whether both read the same tokens.
    """

    ours: Watch
    theirs: Watch
    batch: Batch
    where: Tensor
    there: Tensor
    same: bool = True


class Inner(Signal):
    """A distance of pairs of layers, the mean over the pairs.

    `layers` are pairs of numbers, a layer of the student and one of the teacher, negative ones counted from the end;
    without them the student's layers are paired with the teacher's at even distances, the last one with the last
    (TinyBERT, Jiao et al., 2020). Where the two have other sizes, a linear map of the student's side to the
    teacher's is learned beside the student, and forgotten with the run; `projection` says whether there is one.
    """

    maps = False
    size = ""

    def __init__(
        self,
        *,
        distance: Distance = "mse",
        layers: list[list[int]] | None = None,
        projection: Projection = "where_needed",
    ) -> None:
        self.distance, self.layers, self.projection = distance, layers, projection

    def inner(self) -> list[tuple[float, Inner]]:
        return [(1.0, self)]

    def pairs(self, ours: int, theirs: int) -> list[tuple[int, int]]:
        """Which of the student's layers, 0 … ours - 1, goes with which of the teacher's."""
        if self.layers is None:
            return [(number, round((number + 1) * theirs / ours) - 1) for number in range(ours)]
        for pair in self.layers:
            if len(pair) != 2 or not (-ours <= pair[0] < ours and -theirs <= pair[1] < theirs):
                raise RecipeError(
                    f"{pair} is no pair of a student's and a teacher's layer: they have {ours} and {theirs}.",
                    where="method.signal.layers",
                    hint="Count from 0, or from -1 backwards: [[-1, -1]] pairs the last layers.",
                )
        return [(student % ours, teacher % theirs) for student, teacher in self.layers]

    @abstractmethod
    def of_pair(self, both: Both, pair: tuple[int, int], between: nn.Module) -> Tensor:
        """How far a pair of layers is apart at n places, [n]; `between` maps the student's side to the teacher's."""


class Insight(nn.Module):
    """An inner signal between two networks that are known, with what is learned for it; from text configurations."""

    def __init__(self, weight: float, signal: Inner, student: Any, teacher: Any) -> None:
        super().__init__()
        self.weight, self.signal = weight, signal
        self.pairs = signal.pairs(int(student.num_hidden_layers), int(teacher.num_hidden_layers))
        ours, theirs = int(getattr(student, signal.size)), int(getattr(teacher, signal.size))
        if ours != theirs and signal.projection == "never":
            raise RecipeError(
                f"{signal.size} is {ours} for the student and {theirs} for the teacher, and no projection is wanted.",
                where="method.signal.projection",
                hint="Use where_needed.",
            )
        wanted = signal.projection == "always" or ours != theirs
        self.between = nn.ModuleList(_map(ours, theirs) if wanted else nn.Identity() for _ in self.pairs)

    def forward(self, both: Both) -> Tensor:
        """The weighted distance at n places, [n], the mean over the pairs of layers."""
        each = [
            self.signal.of_pair(both, pair, between) for pair, between in zip(self.pairs, self.between, strict=True)
        ]
        return self.weight * torch.stack(each).mean(0)


def watches(insights: Iterable[Insight]) -> tuple[Watch, Watch]:
    """What must be watched in the student and in the teacher."""
    found = list(insights)
    maps = any(insight.signal.maps for insight in found)
    ours, theirs = (frozenset(pair[side] for each in found for pair in each.pairs) for side in (0, 1))
    return Watch(ours, maps=maps), Watch(theirs, maps=maps)


class HiddenStates(Inner):
    """What layers pass on: the mean square of the difference over the width, or 1 - cos (Romero et al., 2015)."""

    size, any_vocabulary = "hidden_size", True

    def of_pair(self, both: Both, pair: tuple[int, int], between: nn.Module) -> Tensor:
        student = both.ours.hidden[pair[0]].flatten(0, 1)[both.where]
        teacher = both.theirs.hidden[pair[1]].flatten(0, 1)[both.there]
        mapped: Tensor = between(student.to(_dtype(between, student))).float()
        meant = teacher.float()
        if self.distance == "cosine":
            return 1 - cosine_similarity(mapped, meant, dim=-1)
        return (mapped - meant).square().mean(-1)


class AttentionMaps(Inner):
    """Where heads look, from each token: Σ over the tokens before it of the squared difference, or 1 - cos.

    It is the mean over the teacher's heads (after TinyBERT, Jiao et al., 2020). A projection mixes the student's heads,
    before the softmax. The maps of one sequence and layer exist at a time.
    """

    maps = True
    size = "num_attention_heads"

    def of_pair(self, both: Both, pair: tuple[int, int], between: nn.Module) -> Tensor:
        if not both.same:
            raise RecipeError(
                "Attention maps over texts that are not the same tokens cannot be compared.",
                where="method.signal",
                hint="Use method/signal=hidden_states.",
            )
        student, teacher, batch = both.ours.heads[pair[0]], both.theirs.heads[pair[1]], both.batch
        found = torch.zeros(batch.input_ids.numel(), device=both.where.device)
        for number in batch.sequence_numbers:
            start, stop = batch.boundaries[number], batch.boundaries[number + 1]
            of_sequence = checkpoint(
                self._of_sequence, *_cut(student, batch, start, stop), *_cut(teacher, batch, start, stop),
                student.layer, teacher.layer, between, use_reentrant=False,
            )  # fmt: skip
            found = found.index_copy(0, torch.arange(start, stop, device=found.device), of_sequence)
        there: Tensor = found[both.where]
        return there

    def _of_sequence(
        self, query: Tensor, key: Tensor, their_query: Tensor, their_key: Tensor, layer: Any, their_layer: Any,
        between: nn.Module,
    ) -> Tensor:  # fmt: skip
        student = between(_scores(query, key, layer).movedim(0, -1)).movedim(-1, 0)
        with torch.no_grad():
            meant = _softmax(_scores(their_query, their_key, their_layer), their_layer)
        looked = _softmax(student, layer)
        if self.distance == "cosine":
            return (1 - cosine_similarity(looked, meant, dim=-1)).mean(0)
        return (looked - meant).square().sum(-1).mean(0)


def _map(ours: int, theirs: int) -> nn.Linear:
    between = nn.Linear(ours, theirs, bias=False)
    nn.init.orthogonal_(between.weight)
    return between


def _cut(heads: Heads, batch: Batch, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Queries [Hq, n, D] and keys [Hkv, n, D] of one sequence."""
    row, width = divmod(start, batch.input_ids.shape[1])[0], batch.input_ids.shape[1]
    span = slice(start - row * width, stop - row * width)
    return heads.query[row, :, span], heads.key[row, :, span]


def _scores(query: Tensor, key: Tensor, layer: Any) -> Tensor:
    """float32 [Hq, n, n]; grouped keys serve several queries."""
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    keys = key.repeat_interleave(len(query) // len(key), dim=0)
    scores: Tensor = query.float() @ keys.float().transpose(1, 2) * scaling
    return scores


def _softmax(scores: Tensor, layer: Any) -> Tensor:
    """Over the tokens that each one sees: those before it and itself, in its window."""
    count = scores.shape[-1]
    back = torch.arange(count, device=scores.device)[:, None] - torch.arange(count, device=scores.device)
    visible = back >= 0 if layer.window is None else (back >= 0) & (back < layer.window)
    return torch.softmax(scores.masked_fill(~visible, -torch.inf), dim=-1)


def _dtype(between: nn.Module, otherwise: Tensor) -> torch.dtype:
    weight = next(between.parameters(), None)
    return otherwise.dtype if weight is None else weight.dtype
