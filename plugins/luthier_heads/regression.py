"""The objective of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from luthier.api import Example, Floats, Measure, Problem, column_of, number_field, ratio
from luthier_heads.objectives import ClassObjective, Targets


def correlation(totals: Floats) -> Floats:
    """Pearson's r from the sums of (1, x, y, x², y², x y), [..., 6] to [...]; 0 where x or y does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(totals, -1, 0)
    above, below = count * xy - x * y, np.sqrt(np.maximum((count * xx - x * x) * (count * yy - y * y), 0))
    r: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)
    return r


class SquaredError(ClassObjective):
    """(output - y)² of the number y in `column`, as torch's MSELoss computes it."""

    problem: Problem = "regression"
    measures: Mapping[str, Measure] = {
        "correlation": Measure(correlation),
        "absolute_error": Measure(ratio, better="lower"),
    }

    def __init__(self, *, column: str = "score") -> None:
        self.column = column

    def labels_of(self, example: Example) -> Sequence[str]:
        return (self.column,)

    def target(self, example: Example, labels: Sequence[str]) -> dict[str, float]:
        column_of(example, self.column, setting="method.objective.column")
        return {"value": number_field(example, self.column)}

    def losses(self, outputs: Tensor, targets: Targets, labels: Sequence[str]) -> tuple[Tensor, Tensor]:
        losses = (outputs[:, 0] - targets["value"]).square()
        return losses, torch.ones_like(losses)

    def statistics(self, outputs: Tensor, targets: Targets) -> dict[str, Tensor]:
        x, y = outputs[:, 0], targets["value"]
        one = torch.ones_like(x)
        return {
            "correlation": torch.stack([one, x, y, x * x, y * y, x * y], 1),
            "absolute_error": torch.stack([(x - y).abs(), one], 1),
        }
