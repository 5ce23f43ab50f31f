"""Several models on the same examples, each compared with the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from luthier.contracts.examples import Example
from luthier.contracts.predictor import Predictor
from luthier.evaluation.evaluation import Evaluation
from luthier.evaluation.measurement import Difference
from luthier.evaluation.scores import Scores


@dataclass
class SideBySide:
    """Scores by model in the given order; the others are compared with the first."""

    scores: dict[str, Scores]

    def changes(self) -> dict[str, dict[str, Difference]]:
        """For each model but the first, what differs from the first; only scores that can be compared."""
        (_, first), *others = self.scores.items()
        return {name: first.compare(scores, only=self._comparable(first, scores)) for name, scores in others}

    def warnings(self) -> list[str]:
        """Which scores could not be compared, and why."""
        (reference, first), *others = self.scores.items()
        return [
            f"{score} of {name} and {reference} cannot be compared: their tokenizers cut the same text differently."
            for name, scores in others
            for score in scores
            if score in first.measurements and score not in self._comparable(first, scores)
        ]

    def as_json(self) -> dict[str, Any]:
        """Every score of every model, and the paired differences from the first."""
        return {
            "models": {name: scores.as_json() for name, scores in self.scores.items()},
            "changes": {
                name: {score: asdict(difference) for score, difference in differences.items()}
                for name, differences in self.changes().items()
            },
            "warnings": self.warnings(),
        }

    @staticmethod
    def _comparable(first: Scores, other: Scores) -> set[str]:
        return {
            name
            for name, measured in other.measurements.items()
            if name in first.measurements and first.measurements[name].examples == measured.examples
        }


def side_by_side(
    predictors: Mapping[str, Callable[[], Predictor]], evaluation: Evaluation, examples: Mapping[str, Sequence[Example]]
) -> SideBySide:
    """Evaluate one model after another; only one of them is loaded at a time."""
    return SideBySide({name: evaluation(load(), examples) for name, load in predictors.items()})
