"""Reward models from rated texts, by regression on a number or classification of a label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax

from luthier.api import (
    Batch,
    DataError,
    Example,
    Floats,
    Measure,
    RewardObjective,
    Row,
    TokenSequence,
    column_of,
    encode_for_scoring,
    number_field,
    ratio,
)
from luthier_reward.calibration import binned, calibration_error
from luthier_reward.reward_objectives import with_ones

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def rated_text(example: Example, tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
    """The text of the example where it has one, as a user's turn, else its conversation."""
    messages = [{"role": "user", "content": example["text"]}] if "text" in example else example["messages"]
    return encode_for_scoring({**example, "messages": messages}, tokenizer)


def correlation(totals: Floats) -> Floats:
    """Pearson's r from the sums of (1, x, y, x², y², x y), [..., 6] to [...]; 0 where x or y does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(totals, -1, 0)
    above, below = count * xy - x * y, np.sqrt(np.maximum((count * xx - x * x) * (count * yy - y * y), 0))
    r: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)
    return r


class RatingRegression(RewardObjective):
    """(r - rating)²: the target is the number in the column `rating`, less `middle`, divided by `spread`."""

    outputs = 1
    measures: Mapping[str, Measure] = {
        "rating_correlation": Measure(correlation),
        "rating_error": Measure(ratio, better="lower"),
    }

    def __init__(self, *, rating: str = "rating", middle: float = 0.0, spread: float = 1.0) -> None:
        self.rating, self.middle, self.spread = rating, middle, spread

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        column_of(example, self.rating, setting="method.objective.rating")
        value = (number_field(example, self.rating) - self.middle) / self.spread
        return Row((rated_text(example, tokenizer),), {"rating": value})

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs[:, 0] - batch.values["rating"]).square()

    def statistics(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """`rating_error` is the mean absolute error in the unit of the column."""
        x, y = outputs[:, 0], batch.values["rating"]
        return {
            "rating_correlation": torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], 1),
            "rating_error": with_ones((x - y).abs() * self.spread),
        }


class RatingClassification(RewardObjective):
    """-log p(label): one output for each of `labels`, one of which the column `label` names."""

    measures: Mapping[str, Measure] = {
        "label_accuracy": Measure(ratio),
        "calibration_error": Measure(calibration_error, better="lower"),
    }

    def __init__(self, *, labels: list[str]) -> None:
        self.labels, self.outputs = labels, len(labels)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        label = example.get("label")
        if label not in self.labels:
            raise DataError(
                f"The label is {label!r}, which is none of {', '.join(self.labels)}.",
                hint="Name every label in method.objective.labels.",
            )
        return Row((rated_text(example, tokenizer),), {"label": float(self.labels.index(label))})

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch.values["label"].long(), reduction="none")

    def statistics(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        confidence, predicted = log_softmax(outputs, -1).exp().max(-1)
        correct = (predicted == batch.values["label"].long()).float()
        return {"label_accuracy": with_ones(correct), "calibration_error": binned(confidence, correct)}
