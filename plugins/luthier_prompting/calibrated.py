"""Classification with contextual calibration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Classification, Conversation, Metric, Predictor, Question, RecipeError


class ContextualCalibration(Classification):
    """Answer with the label whose probability is raised most over content-free texts (Zhao et al., 2021).

    p(label | content-free) is the mean, over the texts in `nothing`, of the probability among the labels for the same
    prompt about that text. The answer is argmax p(label | text) / p(label | content-free), which is the paper's
    W = diag(p)⁻¹ and b = 0. Where the prompt shows each question other examples, p(label | content-free) is computed
    for each question.
    """

    def __init__(
        self,
        *,
        metrics: Mapping[str, Metric],
        labels: list[str] | None = None,
        most_labels: int = 200,
        nothing: tuple[str, ...] = ("N/A", "", "[MASK]"),
    ) -> None:
        super().__init__(metrics=metrics, labels=labels, most_labels=most_labels)
        if not nothing:
            raise RecipeError("Calibration needs a content-free text.", where="evaluation.task.nothing")
        self.nothing = nothing

    def scores(self, subject: Predictor, turns: Sequence[Question], labels: Sequence[str]) -> NDArray[np.floating[Any]]:
        """log p(label | text) - log p(label | content-free), [turns, labels], up to a constant for each turn."""
        conversations = [turn.about(text) for turn in turns for text in self.nothing]
        keys = [json.dumps(conversation, sort_keys=True, default=str) for conversation in conversations]
        distinct: dict[str, Conversation] = dict(zip(keys, conversations, strict=True))
        probabilities = label_probabilities(subject.score_labels(list(distinct.values()), labels))
        by_key = dict(zip(distinct, probabilities, strict=True))
        shape = len(turns), len(self.nothing), len(labels)
        content_free = np.array([by_key[key] for key in keys]).reshape(shape).mean(1)
        return np.asarray(super().scores(subject, turns, labels) - np.log(content_free))


def label_probabilities(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Log-probabilities [n, labels] normalised over the labels; each probability is at least 1e-12."""
    scores = np.asarray(scores, dtype=np.float64)
    unnormalised = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(np.maximum(unnormalised / unnormalised.sum(1, keepdims=True), 1e-12))
