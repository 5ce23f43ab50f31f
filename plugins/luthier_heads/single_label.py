"""Objectives of classes of which a text has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from luthier.api import DataError, Example, Problem, RecipeError, check_names
from luthier_heads.objectives import ClassObjective, Targets

Balance = Literal["none", "balanced"]


class CrossEntropy(ClassObjective):
    """-log p(label): the softmax cross-entropy, as torch's CrossEntropyLoss computes it.

    `class_weights` weighs the classes: {label: weight}, all of them; or `balanced`, n / (labels · n of the label), as
    scikit-learn does. The mean is over the weights, as in torch. `label_smoothing` moves so much of the target to all
    classes alike (Szegedy et al., 2016).
    """

    problem: Problem = "single_label_classification"

    def __init__(self, *, class_weights: Balance | dict[str, float] = "none", label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing < 1:
            raise RecipeError(
                f"label_smoothing is {label_smoothing}.", where="method.objective.label_smoothing", hint="Use 0 to 1."
            )
        self.class_weights, self.label_smoothing = class_weights, label_smoothing
        self.weights: list[float] | None = None

    def labels_of(self, example: Example) -> Sequence[str]:
        label = example.get("label")
        if not isinstance(label, str):
            raise DataError(
                f"The column `label` is {'missing' if label is None else repr(label)}.",
                hint="Name the column of labels with data/format=classification data.format.label=…",
            )
        return (label,)

    def target(self, example: Example, labels: Sequence[str]) -> dict[str, float]:
        (label,) = self.labels_of(example)
        return {"label": float(labels.index(label))}

    def settle(self, labels: Sequence[str], counts: Mapping[str, int]) -> None:
        where = "method.objective.class_weights"
        if isinstance(self.class_weights, str):
            if self.class_weights == "none" or not counts:
                return
            total = sum(counts.values())
            if absent := [label for label in labels if not counts.get(label)]:
                raise RecipeError(
                    f"No training example has the label {absent[0]!r}, so it has no balanced weight.",
                    where=where,
                    hint=f"Give the weights: '{where}={{…}}'.",
                )
            self.weights = [total / (len(labels) * counts[label]) for label in labels]
            return
        check_names(self.class_weights, labels, kind="label", where=where)
        if absent := [label for label in labels if label not in self.class_weights]:
            raise RecipeError(f"The label {absent[0]!r} has no weight.", where=where, hint="Weigh all of them.")
        if odd := [label for label, weight in self.class_weights.items() if not weight > 0]:
            raise RecipeError(f"The weight of {odd[0]!r} is not above 0.", where=where)
        self.weights = [float(self.class_weights[label]) for label in labels]

    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        numbers, weight = targets["label"].long(), self._weight(outputs)
        losses = cross_entropy(outputs, numbers, weight=weight, label_smoothing=self.label_smoothing, reduction="none")
        return losses, torch.ones_like(losses) if weight is None else weight[numbers]

    def _weight(self, outputs: Tensor) -> Tensor | None:
        return None if self.weights is None else outputs.new_tensor(self.weights)


class Focal(CrossEntropy):
    """-(1 - p)^gamma log p of the true label p (Lin et al., 2017, equation 4): what is easy counts less.

    `gamma` 0 is cross-entropy. `class_weights` are those of `cross_entropy`, α of equation 5.
    """

    def __init__(self, *, gamma: float = 2.0, class_weights: Balance | dict[str, float] = "none") -> None:
        super().__init__(class_weights=class_weights)
        if gamma < 0:
            raise RecipeError(f"gamma is {gamma}.", where="method.objective.gamma", hint="Use 0 or more.")
        self.gamma = gamma

    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        numbers, weight = targets["label"].long(), self._weight(outputs)
        log_p = log_softmax(outputs, -1).gather(1, numbers[:, None])[:, 0]
        scale = torch.ones_like(log_p) if weight is None else weight[numbers]
        return -scale * (1 - log_p.exp()).pow(self.gamma) * log_p, scale


class Ordinal(CrossEntropy):
    """Cross-entropy against soft targets that fall off with the distance of classes in their order.

    The target of class k for a text of class t is softmax over k of -sharpness · |k - t| (SORD, Diaz & Marathe, 2019,
    equation 1). Labels that are numbers are in the order of their values; others need `method.labels`.
    """

    def __init__(self, *, sharpness: float = 1.0) -> None:
        super().__init__()
        if sharpness <= 0:
            raise RecipeError(f"sharpness is {sharpness}.", where="method.objective.sharpness", hint="Use above 0.")
        self.sharpness = sharpness

    def names(self, found: Mapping[str, int], order: Sequence[str] | None) -> list[str]:
        if order is not None:
            return list(order)
        try:
            return sorted(found, key=float)
        except ValueError as error:
            raise RecipeError(
                f"The order of the labels {', '.join(sorted(found))} is not known: they are no numbers.",
                where="method.labels",
                hint="Give them in their order: 'method.labels=[low, middle, high]'.",
            ) from error

    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        places = torch.arange(outputs.shape[1], device=outputs.device, dtype=outputs.dtype)
        soft = torch.softmax(-self.sharpness * (places[None] - targets["label"][:, None]).abs(), dim=-1)
        losses = -(soft * log_softmax(outputs, -1)).sum(-1)
        return losses, torch.ones_like(losses)
