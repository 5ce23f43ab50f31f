"""The objective of labels of which a text has any number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from luthier.api import DataError, Example, Floats, Measure, Problem, ratio
from luthier_heads.objectives import ClassObjective, Targets


def micro_f1(totals: Floats) -> Floats:
    """2·TP / (2·TP + FP + FN) over all labels, [..., 2 · labels] to [...]."""
    hits, occurrences = np.split(totals, 2, axis=-1)
    return ratio(np.stack([hits.sum(-1), occurrences.sum(-1)], -1))


def macro_f1(totals: Floats) -> Floats:
    """The mean of each label's F1, [..., 2 · labels] to [...]; of labels that are nowhere there is none."""
    hits, occurrences = np.split(totals, 2, axis=-1)
    f1 = np.divide(hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)
    mean: Floats = f1.sum(-1) / np.maximum((occurrences > 0).sum(-1), 1)
    return mean


class BinaryCrossEntropy(ClassObjective):
    """The mean over labels of the cross-entropy of each label's sigmoid, as torch's BCEWithLogitsLoss computes it.

    The column `labels` holds a list (`data/format=multi_label`).
    """

    problem: Problem = "multi_label_classification"
    measures: Mapping[str, Measure] = {
        "micro_f1": Measure(micro_f1),
        "macro_f1": Measure(macro_f1),
        "exact_labels": Measure(ratio),
    }

    def __init__(self) -> None:
        return

    def labels_of(self, example: Example) -> Sequence[str]:
        labels = example.get("labels")
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise DataError(
                f"The column `labels` is {'missing' if labels is None else repr(labels)}, where a list is expected.",
                hint="Choose data/format=multi_label, which also cuts a cell into labels.",
            )
        return [str(label) for label in labels]

    def target(self, example: Example, labels: Sequence[str]) -> dict[str, float]:
        own = set(self.labels_of(example))
        return {f"label {number}": float(label in own) for number, label in enumerate(labels)}

    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        losses = binary_cross_entropy_with_logits(outputs, _matrix(outputs, targets), reduction="none").mean(-1)
        return losses, torch.ones_like(losses)

    def statistics(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        true, said = _matrix(outputs, targets), (outputs > 0).float()
        counts = torch.cat([2 * true * said, true + said], 1)
        exact = (true == said).all(1).float()
        return {"micro_f1": counts, "macro_f1": counts, "exact_labels": torch.stack([exact, torch.ones_like(exact)], 1)}


def _matrix(outputs: Tensor, targets: Targets) -> Tensor:
    return torch.stack([targets[f"label {number}"] for number in range(outputs.shape[1])], 1)
