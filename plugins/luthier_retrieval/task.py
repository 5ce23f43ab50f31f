"""Evaluation of retrieval alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.api import Attempts, Metric, Predictor, Question


class RetrievalOnly:
    """Measure the documents that `prompt=retrieval` retrieves for each question; the model generates no answer."""

    writes = False

    def __init__(self, *, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        return Attempts([turn.attempt("") for turn in turns])
