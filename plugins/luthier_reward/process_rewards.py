"""Learn to judge each step of an answer (Lightman et al., 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from luthier.api import Batch, DataError, Example, Measure, Row, TokenSequence, encode_for_scoring, ratio, sequence_sums
from luthier_reward.calibration import binned, calibration_error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEP = 2.0
"""The weight of a step's last token is this much more than the step's label; other tokens of the answer weigh 1."""


class Steps:
    """-log σ(r) for a right step and -log σ(-r) for a wrong one, r read at the last token of each step.

    An example has a prompt in `messages`, the `steps` of its answer, a list of texts, and as many `step_labels`, true
    or false or from 0 to 1; the steps are joined by `separator`. A step's last token is the last that the answer cut
    after it has in common with the whole one.
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
        whole = self._judged({**example, "messages": prompt}, steps, tokenizer)
        weights, behind = whole.weights.copy(), 0
        for count, label in enumerate(labels, 1):
            place = len(whole) - 1
            if count < len(steps):
                part = self._judged({**example, "messages": prompt}, steps[:count], tokenizer).ids
                same = part[: len(whole)] == whole.ids[: len(part)]
                place = (len(same) if same.all() else int(same.argmin())) - 1
            if place <= behind:
                raise DataError("A step of the answer is so short that it has no token of its own.")
            weights[place], behind = STEP + float(label), place
        return Row((TokenSequence(whole.ids, weights),))

    def places(self, batch: Batch) -> Tensor:
        return (batch.weights.flatten() >= STEP).nonzero().flatten()

    def losses(self, said: Tensor, batch: Batch) -> Tensor:
        return binary_cross_entropy_with_logits(said[:, 0], self._labels(batch), reduction="none")

    def statistics(self, said: Tensor, batch: Batch) -> dict[str, Tensor]:
        labels = self._labels(batch)
        right = ((said[:, 0] > 0) == (labels > 0.5)).float()
        return {
            "step_accuracy": torch.stack([right, torch.ones_like(right)], 1),
            "calibration_error": binned(said[:, 0].abs().sigmoid(), right),
        }

    def units(self, batch: Batch) -> list[int]:
        return [int(count) for count in sequence_sums((batch.weights >= STEP).float(), batch).tolist()]

    def _labels(self, batch: Batch) -> Tensor:
        return batch.weights.flatten()[self.places(batch)] - STEP

    def _judged(self, example: Example, steps: list[str], tokenizer: PreTrainedTokenizerBase) -> TokenSequence:
        answer = [{"role": "assistant", "content": self.separator.join(steps)}]
        found = encode_for_scoring({**example, "answer": answer}, tokenizer, answer="answer")
        return TokenSequence(found.ids, np.minimum(found.weights, 1))
