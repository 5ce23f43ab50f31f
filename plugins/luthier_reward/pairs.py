"""Learn a reward from pairs of answers: the chosen one earns more (Bradley & Terry, 1952)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from luthier.api import (
    Batch,
    DataError,
    Example,
    Measure,
    Row,
    encode_for_scoring,
    last_token_positions,
    ratio,
    row_with_shared_prefix,
)
from luthier_reward.calibration import binned, calibration_error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class BradleyTerry:
    """-log σ(r_w - r_l - margin · m) + centre · (r_w + r_l)²: the difference of rewards is the log-odds of the choice.

    Ouyang et al., 2022, equation 1; m is the pair's column `margin` (Touvron et al., 2023, equation 2); the second
    term keeps rewards near zero (Eisenstein et al., 2023).
    """

    outputs = 1
    measures: Mapping[str, Measure] = {
        "reward_accuracy": Measure(ratio),
        "reward_margin": Measure(ratio),
        "calibration_error": Measure(calibration_error, better="lower"),
    }

    def __init__(self, *, margin: float = 1.0, centre: float = 0.01) -> None:
        self.margin, self.centre = margin, centre

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "chosen" not in example or "rejected" not in example:
            raise DataError(
                "bradley_terry learns from pairs, and the example has no `chosen` and `rejected` answer.",
                hint="Use data.format=preference, or method/objective=rating for rated texts.",
            )
        pair = [encode_for_scoring(example, tokenizer, answer=answer) for answer in ("chosen", "rejected")]
        return row_with_shared_prefix(pair, {"margin": float(example.get("margin") or 0.0)})

    def places(self, batch: Batch) -> Tensor:
        return last_token_positions(batch)

    def losses(self, said: Tensor, batch: Batch) -> Tensor:
        chosen, rejected = said[:, 0].view(-1, 2).unbind(1)
        apart = chosen - rejected - self.margin * batch.values["margin"]
        return -logsigmoid(apart) + self.centre * (chosen + rejected).square()

    def statistics(self, said: Tensor, batch: Batch) -> dict[str, Tensor]:
        difference = said[:, 0].view(-1, 2) @ said.new_tensor([1.0, -1.0])
        right = (difference > 0).float() + 0.5 * (difference == 0).float()
        ones = torch.ones_like(right)
        return {
            "reward_accuracy": torch.stack([right, ones], 1),
            "reward_margin": torch.stack([difference, ones], 1),
            "calibration_error": binned(difference.abs().sigmoid(), right),
        }

    def units(self, batch: Batch) -> list[int]:
        return [1] * len(batch.sequence_groups)
