"""Feature distillation: signals that compare hidden states or attention maps of student and teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from torch.utils.checkpoint import checkpoint

from luthier.api import Batch, RecipeError, Signal
from luthier_distillation.activations import AttentionInputs
from luthier_distillation.layer_distance import LayerDistance, RecordedActivations

Distance = Literal["mse", "cosine"]
Projection = Literal["where_needed", "always", "never"]


class FeatureSignal(Signal, ABC):
    """A distance between pairs of layers, averaged over the pairs; it compares no distributions over tokens.

    `layers` are pairs of layer numbers, the student's and the teacher's, negative ones counted from the end; without
    them the student's layers are paired with the teacher's at even distances, the last one with the last (TinyBERT,
    Jiao et al., 2020). Where the sizes of the two differ, a linear projection of the student's activations to the
    teacher's size is trained with the student and left out of its artifact; `projection` says whether there is one.
    """

    uses_attention = False
    size = ""

    def __init__(
        self,
        *,
        distance: Distance = "mse",
        layers: list[list[int]] | None = None,
        projection: Projection = "where_needed",
    ) -> None:
        self.distance, self.layers, self.projection = distance, layers, projection

    def layer_distances(self) -> list[tuple[float, LayerDistance]]:
        return [(1.0, self)]

    def layer_pairs(self, student_layers: int, teacher_layers: int) -> list[tuple[int, int]]:
        counts = student_layers, teacher_layers
        if self.layers is None:
            return [(number, round((number + 1) * counts[1] / counts[0]) - 1) for number in range(counts[0])]
        for pair in self.layers:
            if len(pair) != 2 or not all(-count <= layer < count for layer, count in zip(pair, counts, strict=True)):
                raise RecipeError(
                    f"{pair} is no pair of a student's and a teacher's layer: they have {counts[0]} and {counts[1]}.",
                    where="method.signal.layers",
                    hint="Count from 0, or from -1 backwards: [[-1, -1]] pairs the last layers.",
                )
        return [(student % counts[0], teacher % counts[1]) for student, teacher in self.layers]

    @abstractmethod
    def of_pair(self, activations: RecordedActivations, pair: tuple[int, int], projection: nn.Module) -> Tensor: ...


class HiddenStates(FeatureSignal):
    """The hidden states behind layers: the mean squared difference over the width, or 1 - cos (Romero et al., 2015)."""

    size, any_vocabulary = "hidden_size", True

    def of_pair(self, activations: RecordedActivations, pair: tuple[int, int], projection: nn.Module) -> Tensor:
        student = activations.student.hidden_states[pair[0]].flatten(0, 1)[activations.student_positions]
        teacher = activations.teacher.hidden_states[pair[1]].flatten(0, 1)[activations.teacher_positions].float()
        projected: Tensor = projection(student.to(_dtype(projection, student))).float()
        if self.distance == "cosine":
            return 1 - cosine_similarity(projected, teacher, dim=-1)
        return (projected - teacher).square().mean(-1)


class AttentionMaps(FeatureSignal):
    """The attention map of each token: Σ over the tokens before it of the squared difference, or 1 - cos.

    It is averaged over the teacher's heads (after TinyBERT, Jiao et al., 2020). A projection mixes the student's heads
    before the softmax. The maps of one sequence and layer exist at a time.
    """

    uses_attention = True
    size = "num_attention_heads"

    def of_pair(self, activations: RecordedActivations, pair: tuple[int, int], projection: nn.Module) -> Tensor:
        if not activations.same_tokens:
            raise RecipeError(
                "Attention maps over texts that are not the same tokens cannot be compared.",
                where="method.signal",
                hint="Use method/signal=hidden_states.",
            )
        batch, positions = activations.batch, activations.student_positions
        student = activations.student.attention_inputs[pair[0]]
        teacher = activations.teacher.attention_inputs[pair[1]]
        distances = torch.zeros(batch.input_ids.numel(), device=positions.device)
        for number in batch.sequence_numbers:
            start, stop = batch.boundaries[number], batch.boundaries[number + 1]
            of_sequence = checkpoint(
                self._of_sequence, *_of_span(student, batch, start, stop), *_of_span(teacher, batch, start, stop),
                student.layer, teacher.layer, projection, use_reentrant=False,
            )  # fmt: skip
            distances = distances.index_copy(0, torch.arange(start, stop, device=positions.device), of_sequence)
        return distances[positions]

    def _of_sequence(
        self, query: Tensor, key: Tensor, teacher_query: Tensor, teacher_key: Tensor, layer: Any, teacher_layer: Any,
        projection: nn.Module,
    ) -> Tensor:  # fmt: skip
        scores = projection(_scores(query, key, layer).movedim(0, -1)).movedim(-1, 0)
        with torch.no_grad():
            teacher = _softmax(_scores(teacher_query, teacher_key, teacher_layer), teacher_layer)
        student = _softmax(scores, layer)
        if self.distance == "cosine":
            return (1 - cosine_similarity(student, teacher, dim=-1)).mean(0)
        return (student - teacher).square().sum(-1).mean(0)


def _of_span(inputs: AttentionInputs, batch: Batch, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Queries [Hq, n, D] and keys [Hkv, n, D] of one sequence, which lies from `start` to `stop` in the batch."""
    row, width = divmod(start, batch.input_ids.shape[1])[0], batch.input_ids.shape[1]
    span = slice(start - row * width, stop - row * width)
    return inputs.query[row, :, span], inputs.key[row, :, span]


def _scores(query: Tensor, key: Tensor, layer: Any) -> Tensor:
    """Attention scores before the mask, float32 [Hq, n, n]; grouped keys serve several queries."""
    scaling = query.shape[-1] ** -0.5 if layer.scaling is None else layer.scaling
    keys = key.repeat_interleave(len(query) // len(key), dim=0)
    scores: Tensor = query.float() @ keys.float().transpose(1, 2) * scaling
    return scores


def _softmax(scores: Tensor, layer: Any) -> Tensor:
    """Attention weights of each token over itself and the tokens before it, within the layer's window."""
    count = scores.shape[-1]
    back = torch.arange(count, device=scores.device)[:, None] - torch.arange(count, device=scores.device)
    visible = back >= 0 if layer.window is None else (back >= 0) & (back < layer.window)
    return torch.softmax(scores.masked_fill(~visible, -torch.inf), dim=-1)


def _dtype(projection: nn.Module, default: Tensor) -> torch.dtype:
    weight = next(projection.parameters(), None)
    return default.dtype if weight is None else weight.dtype
