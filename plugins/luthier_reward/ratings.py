"""Learn to judge texts that people have rated, by a number or by a class."""

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
    Row,
    TokenSequence,
    encode_for_scoring,
    last_token_positions,
    number_field,
    ratio,
)
from luthier_reward.calibration import binned, calibration_error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def rated(example: Example, tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
    """What was rated: the text of the example where it has one, as a user's turn, else its conversation."""
    said = [{"role": "user", "content": example["text"]}] if "text" in example else example["messages"]
    return encode_for_scoring({**example, "messages": said}, tokenizer)


def correlation(totals: Floats) -> Floats:
    """Pearson's r from the sums of (1, x, y, x², y², x y); 0 where one of them does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(totals, -1, 0)
    above, below = count * xy - x * y, np.sqrt(np.maximum((count * xx - x * x) * (count * yy - y * y), 0))
    found: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)
    return found


class Regression:
    """(r - rating)²: the reward is the number in the column `rating`, less `middle`, divided by `spread`."""

    outputs = 1
    measures: Mapping[str, Measure] = {
        "rating_correlation": Measure(correlation),
        "rating_error": Measure(ratio, better="lower"),
    }

    def __init__(self, *, rating: str = "rating", middle: float = 0.0, spread: float = 1.0) -> None:
        self.rating, self.middle, self.spread = rating, middle, spread

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        value = (number_field(example, self.rating) - self.middle) / self.spread
        return Row((rated(example, tokenizer),), {"rating": value})

    def places(self, batch: Batch) -> Tensor:
        return last_token_positions(batch)

    def losses(self, said: Tensor, batch: Batch) -> Tensor:
        return (said[:, 0] - batch.values["rating"]).square()

    def statistics(self, said: Tensor, batch: Batch) -> dict[str, Tensor]:
        x, y = said[:, 0], batch.values["rating"]
        ones = torch.ones_like(x)
        return {
            "rating_correlation": torch.stack([ones, x, y, x * x, y * y, x * y], 1),
            "rating_error": torch.stack([(x - y).abs() * self.spread, ones], 1),
        }

    def units(self, batch: Batch) -> list[int]:
        return [1] * len(batch.sequence_groups)


class Classification:
    """-log p(label): one output for each of the `labels`, which the column `label` names."""

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
        return Row((rated(example, tokenizer),), {"label": float(self.labels.index(label))})

    def places(self, batch: Batch) -> Tensor:
        return last_token_positions(batch)

    def losses(self, said: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(said, batch.values["label"].long(), reduction="none")

    def statistics(self, said: Tensor, batch: Batch) -> dict[str, Tensor]:
        confidence, chosen = log_softmax(said, -1).exp().max(-1)
        right = (chosen == batch.values["label"].long()).float()
        return {
            "label_accuracy": torch.stack([right, torch.ones_like(right)], 1),
            "calibration_error": binned(confidence, right),
        }

    def units(self, batch: Batch) -> list[int]:
        return [1] * len(batch.sequence_groups)
