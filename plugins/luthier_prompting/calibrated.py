"""Choose a label, against what the model would say about nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Classification, Conversation, Metric, Predictor, Question, RecipeError


class Calibrated(Classification):
    """Answer with the label whose probability gains most on that for texts without content (Zhao et al., 2021).

    p(label | nothing) is the mean, over the texts in `nothing`, of p among the labels for the same prompt about that
    text; the answer is argmax p(label | text) / p(label | nothing), which is the paper's W = diag(p)⁻¹ and b = 0. Where
    the prompt shows every question other examples, p(label | nothing) is asked for each question anew.
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
            raise RecipeError("There is no text without content to calibrate by.", where="evaluation.task.nothing")
        self.nothing = nothing

    def scores(self, subject: Predictor, turns: Sequence[Question], labels: Sequence[str]) -> NDArray[np.floating[Any]]:
        """log p(label | text) - log p(label | nothing), but for a constant of each turn."""
        asked = [turn.about(text) for turn in turns for text in self.nothing]
        names = [json.dumps(conversation, sort_keys=True, default=str) for conversation in asked]
        once: dict[str, Conversation] = dict(zip(names, asked, strict=True))
        found = dict(zip(once, among_labels(subject.score_labels(list(once.values()), labels)), strict=True))
        blank = np.array([found[name] for name in names]).reshape(len(turns), len(self.nothing), len(labels)).mean(1)
        return np.asarray(super().scores(subject, turns, labels) - np.log(blank))


def among_labels(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Log-probabilities [n, labels] as probabilities among the labels; none is less than 1e-12."""
    scores = np.asarray(scores, dtype=np.float64)
    likely = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(np.maximum(likely / likely.sum(1, keepdims=True), 1e-12))
