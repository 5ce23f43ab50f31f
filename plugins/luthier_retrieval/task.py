"""Ask only what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.api import Attempts, Metric, Predictor, Question


class Search:
    """Answer nothing: what `prompt=retrieval` finds for each question is all that is measured."""

    writes = False

    def __init__(self, *, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        return Attempts([turn.attempt("") for turn in turns])
