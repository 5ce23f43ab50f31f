"""Ask only what is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.evaluate.metrics.metric import Metric
from luthier.evaluate.subject import Subject
from luthier.evaluate.tasks.task import Attempts
from luthier.evaluate.turns import Turn


class Search:
    """Answer nothing: what `prompt=retrieval` finds for each question is all that is measured."""

    writes = False

    def __init__(self, *, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics

    def __call__(self, subject: Subject, turns: Sequence[Turn], known: Sequence[Turn]) -> Attempts:
        return Attempts([turn.attempt("") for turn in turns])
