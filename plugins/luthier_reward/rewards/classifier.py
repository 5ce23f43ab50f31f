"""The probability of a label under a trained classifier, as a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from luthier.api import Messages, RecipeError, classification_question
from luthier_reward.rewards.run_reward import RunReward


class Classifier(RunReward):
    """The probability of the label `wanted` among `labels` under an earlier run, a generative classifier.

    The prompt is that of its training: `instruction` with the answer in place of `{text}`, or after a blank line.
    """

    def __init__(self, *, path: str, labels: list[str], wanted: str, instruction: str = "") -> None:
        if wanted not in labels:
            raise RecipeError(f"{wanted!r} is none of the labels {', '.join(labels)}.", where="method.reward.wanted")
        super().__init__(path)
        self.labels, self.wanted, self.instruction = labels, wanted, instruction

    def __call__(self, prompt: Messages, answers: Sequence[str], example: Mapping[str, Any]) -> list[float]:
        prompts = [
            [{"role": "user", "content": classification_question(self.instruction, answer)}] for answer in answers
        ]
        scores = self.artifact.score_labels(prompts, self.labels).astype(np.float64)
        probabilities = np.exp(scores - scores.max(1, keepdims=True))
        probabilities /= probabilities.sum(1, keepdims=True)
        return [float(probability) for probability in probabilities[:, self.labels.index(self.wanted)]]
