"""A cascade: a small model answers first, a larger one where the small one's confidence is low."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, Conversation, RecipeError, Sampling, example_of
from luthier_ensemble.answers.answer_ensemble import AnswerEnsemble, AnswerEnsembleNetwork, Member
from luthier_ensemble.lineages import stored_lineage

if TYPE_CHECKING:
    from luthier.api import Model

CANDIDATES = 10
"""Number of candidate thresholds, quantiles of the members' confidences on the validation split."""

log = logging.getLogger("luthier")

Predict = Callable[[Member, Sequence[Conversation]], tuple[Sequence[Any], NDArray[np.float64]]]
"""A member's predictions for conversations, and its confidence in each, [conversations]."""


class Cascade(AnswerEnsemble):
    """Query the members in order until the confidence of one reaches `threshold`; the last one's answer is final.

    The confidence is the mean of log p over the tokens of a member's answer, or log p of its most likely label among
    the labels. Without a `threshold` the run chooses the one with the best score on its validation split, and among
    equal ones the one with which the fewest questions reach the next member.
    """

    def __init__(self, *, members: dict[str, Model], threshold: float | None = None) -> None:
        super().__init__(members)
        if len(members) < 2:
            raise RecipeError("A cascade has a small member and a larger one at least.", where="model.members")
        self.threshold, self._note = threshold, ""

    def combine(self, members: Sequence[Member]) -> CascadeNetwork:
        if self.threshold is None:
            raise RecipeError(
                "The cascade has no threshold, and only the model of a run chooses one.",
                where="model.threshold",
                hint="Set it, such as -0.5, or start from the run that chose one: model=run.",
            )
        return CascadeNetwork(members, self.threshold)

    def choose(self, judge: Callable[[nn.Module], float]) -> None:
        if self.threshold is not None:
            return
        recording = Recording()
        network = CascadeNetwork(self.loaded_members(), np.inf, recording)
        score_of_last = judge(network)  # every question reaches every member, so all confidences are recorded
        confidences = np.array(recording.confidences["labels"] or recording.confidences["answers"])
        if not len(confidences):
            raise RecipeError(
                "The recipe's evaluation generates no answers, so there is no score to choose a threshold by.",
                where="evaluation",
                hint="Score a task, such as evaluation/task=generation, or set model.threshold.",
            )
        candidates = np.unique(np.quantile(confidences, np.linspace(0, 1, CANDIDATES))).tolist()
        scores = {}
        for candidate in candidates:
            network.threshold = candidate
            scores[candidate] = judge(network)
        scores[max(candidates) + 1.0] = score_of_last
        self.threshold = max(scores, key=lambda threshold: (scores[threshold], -threshold))
        passed_on = float((confidences < self.threshold).mean())
        same = " at every threshold" if len(set(scores.values())) == 1 else ""
        self._note = (
            f"On the validation split {passed_on:.0%} of a member's questions are passed on to the next with a "
            f"threshold of {self.threshold:.3f}; the score was {abs(scores[self.threshold]):.4g}{same}."
        )
        log.info(self._note)

    def restore(self, folder: Path) -> None:
        """Take the threshold that the run chose."""
        self.threshold = float(stored_lineage(folder)["settings"]["threshold"])

    @property
    def settings(self) -> dict[str, Any]:
        return {"threshold": self.threshold}

    def lineage(self) -> dict[str, Any]:
        lineage = super().lineage()
        return {**lineage, "note": " ".join(filter(None, [lineage["note"], self._note]))}


@dataclass
class Recording:
    """What a cascade records while a threshold is chosen: predictions, each computed once, and confidences.

    `predictions` holds (prediction, confidence) by member, settings and conversation.
    """

    predictions: dict[str, tuple[Any, float]] = field(default_factory=dict)
    confidences: dict[str, list[float]] = field(default_factory=lambda: {"answers": [], "labels": []})


class CascadeNetwork(AnswerEnsembleNetwork):
    """With a `recording` no member predicts the same twice, and the confidences of all but the last are recorded."""

    def __init__(self, members: Sequence[Member], threshold: float, recording: Recording | None = None) -> None:
        super().__init__(members)
        self.threshold, self.recording = threshold, recording

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        count = settings.num_samples

        def predict(member: Member, some: Sequence[Conversation]) -> tuple[list[list[Answer]], NDArray[np.float64]]:
            answers = member.answers(some, settings)
            groups = [answers[start : start + count] for start in range(0, len(answers), count)]
            return groups, np.array([np.mean([np.mean(answer.logprobs) for answer in group]) for group in groups])

        groups = self._cascade(conversations, predict, "answers", str(settings))
        return [answer for group in groups for answer in group]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        def predict(member: Member, some: Sequence[Conversation]) -> tuple[list[Any], NDArray[np.float64]]:
            scores = member.labels(some, labels)
            return list(scores), scores.max(1).astype(np.float64)

        return np.stack(self._cascade(conversations, predict, "labels", str(labels)))

    def _cascade(self, conversations: Sequence[Conversation], predict: Predict, kind: str, settings: str) -> list[Any]:
        """The prediction of the first member whose confidence suffices, for each conversation."""
        predictions: dict[int, Any] = {}
        remaining = list(range(len(conversations)))
        for member in self.members:
            if not remaining:
                break
            is_last = member is self.members[-1]
            some = [conversations[index] for index in remaining]
            predicted, confidences = self._recorded(member, some, predict, settings)
            if self.recording is not None and not is_last:
                self.recording.confidences[kind] += confidences.tolist()
            predictions |= {
                index: prediction
                for index, prediction, confidence in zip(remaining, predicted, confidences, strict=True)
                if is_last or confidence >= self.threshold
            }
            remaining = [index for index in remaining if index not in predictions]
        return [predictions[index] for index in range(len(conversations))]

    def _recorded(
        self, member: Member, conversations: Sequence[Conversation], predict: Predict, settings: str
    ) -> tuple[Sequence[Any], NDArray[np.float64]]:
        """A member's predictions and confidences, those that are recorded already taken from there."""
        if self.recording is None:
            return predict(member, conversations)
        known = self.recording.predictions
        keys = [json.dumps([member.name, settings, example_of(each)], default=str) for each in conversations]
        new = {key: conversation for key, conversation in zip(keys, conversations, strict=True) if key not in known}
        if new:
            predicted, confidences = predict(member, list(new.values()))
            known |= dict(zip(new, zip(predicted, confidences.tolist(), strict=True), strict=True))
        return [known[key][0] for key in keys], np.array([known[key][1] for key in keys])
