"""Classify by the log-probability of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.predictor import Predictor
from luthier.errors import DataError
from luthier.evaluation.metrics.metric import Metric
from luthier.evaluation.questions import Question
from luthier.evaluation.tasks.task import Attempts


class Classification:
    """Answer with the most probable label, by forward passes and without generating.

    The labels are those of `labels`, else all answers that occur in the evaluated set. With more than `most_labels`
    of them the data is no classification, which is a DataError, as is an answer outside a given `labels`. `metrics` are
    those of the task, by the names of their scores.
    """

    writes = False
    """False: a label is chosen, no text is generated."""

    def __init__(
        self, *, metrics: Mapping[str, Metric], labels: list[str] | None = None, most_labels: int = 200
    ) -> None:
        self.metrics, self.labels, self.most_labels = metrics, labels, most_labels

    def __call__(self, predictor: Predictor, questions: Sequence[Question], known: Sequence[Question]) -> Attempts:
        """The most probable label for each question; DataError for answers that are no labels."""
        if predictor.is_classifier:
            questions, known = _with_labels(questions), _with_labels(known)
        labels = self._labels(known)
        scores = self.scores(predictor, questions, labels)
        chosen = [labels[index] for index in scores.argmax(1)]
        shares = _softmax(scores)
        absent = [repr(label) for label in labels if label not in {question.reference for question in known}]
        return Attempts(
            [
                question.attempt(label, dict(zip(labels, row.tolist(), strict=True)))
                for question, label, row in zip(questions, chosen, shares, strict=True)
            ],
            {
                "labels": len(labels),
                **({f"labels that no example has ({', '.join(absent)})": len(absent)} if absent else {}),
            },
        )

    def scores(
        self, predictor: Predictor, questions: Sequence[Question], labels: Sequence[str]
    ) -> NDArray[np.floating[Any]]:
        """The scores whose largest decides each question, [questions, labels]: of the head, where there is one."""
        if predictor.is_classifier:
            return predictor.label_log_probs([question.example for question in questions], labels)
        return predictor.score_labels([question.conversation for question in questions], labels)

    def _labels(self, known: Sequence[Question]) -> list[str]:
        answers = {question.reference: question.where for question in reversed(known)}
        if self.labels is None:
            if len(answers) > self.most_labels:
                raise DataError(
                    f"{len(answers)} different answers are too many to be the labels of a classification.",
                    hint="Use evaluation/task=generation, or raise evaluation.task.most_labels.",
                )
            return sorted(answers)
        if foreign := [answer for answer in answers if answer not in self.labels]:
            raise DataError(
                f"{foreign[0]!r} is an answer of the data, but not one of the labels {', '.join(self.labels)}.",
                where=answers[foreign[0]],
                hint="Add it to evaluation.task.labels.",
            )
        return self.labels


def _with_labels(questions: Sequence[Question]) -> list[Question]:
    """The questions whose reference is the label, where the assistant's turn says something else."""
    return [replace(one, reference=one.example["label"]) if "label" in one.example else one for one in questions]


def _softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Scores [questions, labels] as shares of 1; equal ones where none is finite."""
    given = np.nan_to_num(scores.astype(np.float64), nan=-1e9, neginf=-1e9)
    powers = np.exp(given - given.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
