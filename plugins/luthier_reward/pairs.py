"""Reward models from preference pairs (Bradley & Terry, 1952)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import logsigmoid

from luthier.api import (
    Batch,
    DataError,
    Example,
    Measure,
    RewardObjective,
    Row,
    encode_for_scoring,
    ratio,
    row_with_shared_prefix,
)
from luthier_reward.calibration import binned, calibration_error
from luthier_reward.reward_objectives import with_ones

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class BradleyTerry(RewardObjective):
    """-log σ(r_w - r_l - margin · m) + centre · (r_w + r_l)², r_w and r_l the rewards of the two answers.

    The difference of rewards is the log-odds of the preference (Ouyang et al., 2022, equation 1); m is the pair's
    column `margin` (Touvron et al., 2023, equation 2); the second term keeps rewards near zero (Eisenstein et al.,
    2023).
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

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        chosen, rejected = outputs[:, 0].view(-1, 2).unbind(1)
        log_odds = chosen - rejected - self.margin * batch.values["margin"]
        return -logsigmoid(log_odds) + self.centre * (chosen + rejected).square()

    def statistics(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        difference = outputs[:, 0].view(-1, 2) @ outputs.new_tensor([1.0, -1.0])
        correct = (difference > 0).float() + 0.5 * (difference == 0).float()
        return {
            "reward_accuracy": with_ones(correct),
            "reward_margin": with_ones(difference),
            "calibration_error": binned(difference.abs().sigmoid(), correct),
        }
