"""Distances between layers of student and teacher, and the linear projections that are learned for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from luthier.api import Batch, RecipeError
from luthier_distillation.activations import ActivationRecorder


@dataclass(frozen=True, slots=True)
class RecordedActivations:
    """Activations of student and teacher, and the n positions at which they are compared.

    `batch` is the student's; `student_positions` and `teacher_positions`, int64 [n], index the flattened batch of
    each. `same_tokens` says whether both read the same batch.
    """

    student: ActivationRecorder
    teacher: ActivationRecorder
    batch: Batch
    student_positions: Tensor
    teacher_positions: Tensor
    same_tokens: bool = True


class LayerDistance(Protocol):
    """A distance between pairs of layers of student and teacher."""

    uses_attention: bool
    """Whether it compares attention maps rather than hidden states."""
    size: str
    """The size that student and teacher may differ in, as their configurations call it."""

    @property
    def projection(self) -> str:
        """Whether a projection to the teacher's size is learned: where_needed, always or never."""

    def layer_pairs(self, student_layers: int, teacher_layers: int) -> list[tuple[int, int]]:
        """Which layer of the student is compared with which of the teacher; RecipeError for one that is not there."""

    def of_pair(self, activations: RecordedActivations, pair: tuple[int, int], projection: nn.Module) -> Tensor:
        """The distance of a pair of layers at n positions, [n]; `projection` maps the student's side."""


class FeatureLoss(nn.Module):
    """A weighted layer distance for two given networks, with its learned projections.

    `student` and `teacher` are text configurations; RecipeError where their sizes differ and `projection` is never.
    """

    def __init__(self, weight: float, distance: LayerDistance, student: Any, teacher: Any) -> None:
        super().__init__()
        self.weight, self.distance = weight, distance
        self.pairs = distance.layer_pairs(int(student.num_hidden_layers), int(teacher.num_hidden_layers))
        sizes = int(getattr(student, distance.size)), int(getattr(teacher, distance.size))
        if sizes[0] != sizes[1] and distance.projection == "never":
            raise RecipeError(
                f"{distance.size} is {sizes[0]} for the student and {sizes[1]} for the teacher, and "
                "method.signal.projection is never.",
                where="method.signal.projection",
                hint="Use where_needed.",
            )
        projects = distance.projection == "always" or sizes[0] != sizes[1]
        self.projections = nn.ModuleList(_projection(*sizes) if projects else nn.Identity() for _ in self.pairs)

    def forward(self, activations: RecordedActivations) -> Tensor:
        """The weighted distance at n positions, [n], the mean over the pairs of layers."""
        distances = [
            self.distance.of_pair(activations, pair, projection)
            for pair, projection in zip(self.pairs, self.projections, strict=True)
        ]
        return self.weight * torch.stack(distances).mean(0)


def recorders(losses: Iterable[FeatureLoss]) -> tuple[ActivationRecorder, ActivationRecorder]:
    """Recorders of the student's and the teacher's activations that these losses compare."""
    losses = list(losses)
    attention = any(loss.distance.uses_attention for loss in losses)
    student, teacher = (frozenset(pair[side] for loss in losses for pair in loss.pairs) for side in (0, 1))
    return ActivationRecorder(student, attention=attention), ActivationRecorder(teacher, attention=attention)


def _projection(student_size: int, teacher_size: int) -> nn.Linear:
    projection = nn.Linear(student_size, teacher_size, bias=False)
    nn.init.orthogonal_(projection.weight)
    return projection
