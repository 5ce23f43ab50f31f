"""Process reward models: a reward for each step of an answer (Lightman et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from luthier.api import (
    Batch,
    DataError,
    Example,
    Measure,
    RewardObjective,
    Row,
    TokenSequence,
    encode_for_scoring,
    ratio,
    sequence_sums,
)
from luthier_reward.calibration import binned, calibration_error
from luthier_reward.reward_objectives import with_ones

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEP = 2.0
"""The weight of a step's last token is the label of the step plus this; the other tokens of the answer weigh 1."""


class ProcessReward(RewardObjective):
    """-log σ(r) for a correct step and -log σ(-r) for a wrong one, r being predicted at the last token of each step.

    An example has a prompt in `messages`, the `steps` of its answer, a list of texts, and as many `step_labels`, true
    or false or probabilities from 0 to 1; the steps are joined by `separator`. The last token of a step is the last
    one that the answer up to this step and the whole answer have in common. A unit is a step.
    """

    outputs = 1
    measures: Mapping[str, Measure] = {
        "step_accuracy": Measure(ratio),
        "calibration_error": Measure(calibration_error, better="lower"),
    }

    def __init__(self, *, separator: str = "\n\n") -> None:
        self.separator = separator

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        steps, labels = example.get("steps") or [], example.get("step_labels") or []
        if not steps or len(steps) != len(labels) or not all(0 <= float(label) <= 1 for label in labels):
            raise DataError(
                f"The example has {len(steps)} steps and {len(labels)} labels.",
                hint="`steps` is a list of texts, `step_labels` as long a list of true and false.",
            )
        prompt = [message for message in example["messages"] if message["role"] != "assistant"]
        whole = self._encoded({**example, "messages": prompt}, steps, tokenizer)
        weights, previous = whole.weights.copy(), 0
        for count, label in enumerate(labels, 1):
            last = len(whole) - 1
            if count < len(steps):
                part = self._encoded({**example, "messages": prompt}, steps[:count], tokenizer).ids
                equal = part[: len(whole)] == whole.ids[: len(part)]
                last = (len(equal) if equal.all() else int(equal.argmin())) - 1
            if last <= previous:
                raise DataError("A step of the answer is so short that it has no token of its own.")
            weights[last], previous = STEP + float(label), last
        return Row((TokenSequence(whole.ids, weights),))

    def positions(self, batch: Batch) -> Tensor:
        return (batch.weights.flatten() >= STEP).nonzero().flatten()

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return binary_cross_entropy_with_logits(outputs[:, 0], self._labels(batch), reduction="none")

    def statistics(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        labels = self._labels(batch)
        correct = ((outputs[:, 0] > 0) == (labels > 0.5)).float()
        return {
            "step_accuracy": with_ones(correct),
            "calibration_error": binned(outputs[:, 0].abs().sigmoid(), correct),
        }

    def units(self, batch: Batch) -> list[int]:
        return [int(count) for count in sequence_sums((batch.weights >= STEP).float(), batch).tolist()]

    def _labels(self, batch: Batch) -> Tensor:
        return batch.weights.flatten()[self.positions(batch)] - STEP

    def _encoded(self, example: Example, steps: list[str], tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
        answer = [{"role": "assistant", "content": self.separator.join(steps)}]
        sequence = encode_for_scoring({**example, "answer": answer}, tokenizer, answer="answer")
        return TokenSequence(sequence.ids, np.minimum(sequence.weights, 1))
