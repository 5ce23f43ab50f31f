"""Ask only what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.contracts.predictor import Predictor
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class Search:
    """Answer nothing: what `prompt=retrieval` finds for each question is all that is measured."""

    writes = False

    def __init__(self, *, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics

    def __call__(self, subject: Predictor, turns: Sequence[Question], known: Sequence[Question]) -> Attempts:
        return Attempts([turn.attempt("") for turn in turns])
