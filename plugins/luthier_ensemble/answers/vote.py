"""A majority vote on whole answers, and self-consistency."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Conversation, RecipeError, Sampling, check_names, normalised_text
from luthier_ensemble.answers.answer_ensemble import AnswerEnsemble, AnswerEnsembleNetwork, Member

if TYPE_CHECKING:
    from luthier.api import Model


class Vote(AnswerEnsemble):
    """Return the answer with most votes, one vote for each of the `samples` of each member; in a tie the first one.

    One sample is generated with the sampling settings of the caller; several are drawn at `temperature`: with a single
    member that is self-consistency (Wang et al., 2023). Answers are equal if their texts are but for case, punctuation
    and articles, or, with `read`, if the last match of this regular expression is, or that of its first group. A
    label's probability is the weighted mean of the members' probabilities.
    """

    def __init__(
        self,
        *,
        members: dict[str, Model],
        weights: dict[str, float] | None = None,
        samples: int = 1,
        temperature: float = 0.7,
        read: str | None = None,
    ) -> None:
        super().__init__(members)
        if samples < 1 or (samples > 1 and temperature <= 0):
            raise RecipeError(
                f"{samples} samples at a temperature of {temperature} cannot differ.",
                where="model.samples",
                hint="Draw at least one, and several at a temperature above 0.",
            )
        for name, weight in (weights or {}).items():
            check_names([name], members, kind="member", where=f"model.weights.{name}")
            if weight <= 0:
                raise RecipeError(
                    f"The vote of {name} has the weight {weight}, which is not above 0.", where=f"model.weights.{name}"
                )
        try:
            re.compile(read or "")
        except re.error as error:
            raise RecipeError(f"{read!r} is no regular expression: {error}.", where="model.read") from error
        self.weights, self.samples, self.temperature, self.read = weights, samples, temperature, read

    def combine(self, members: Sequence[Member]) -> VoteNetwork:
        return VoteNetwork(members, self)


class VoteNetwork(AnswerEnsembleNetwork):
    """Generates with every member and elects one answer."""

    def __init__(self, members: Sequence[Member], vote: Vote) -> None:
        super().__init__(members)
        self.vote = vote
        self.weights = [float((vote.weights or {}).get(member.name, 1.0)) for member in members]

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        samples = self.vote.samples
        if samples > 1:
            settings = replace(settings, num_samples=settings.num_samples * samples, temperature=self.vote.temperature)
        by_member = [member.answers(conversations, settings) for member in self.members]
        starts = range(0, len(by_member[0]), samples)
        return [self.elected([answers[start : start + samples] for answers in by_member]) for start in starts]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        weighted = [
            member.labels(conversations, labels) + np.log(weight / sum(self.weights))
            for member, weight in zip(self.members, self.weights, strict=True)
        ]
        mixed: NDArray[np.float32] = np.logaddexp.reduce(weighted, axis=0).astype(np.float32)
        return mixed

    def elected(self, by_member: Sequence[Sequence[Answer]]) -> Answer:
        """The first answer with most votes among those of each member; answers from which nothing is read abstain."""
        first: dict[str, Answer] = {}
        votes: defaultdict[str, float] = defaultdict(float)
        for answers, weight in zip(by_member, self.weights, strict=True):
            for answer in answers:
                if (key := vote_of(answer.text, self.vote.read)) is not None:
                    first.setdefault(key, answer)
                    votes[key] += weight
        return first[max(votes, key=votes.__getitem__)] if votes else by_member[0][0]


def vote_of(text: str, pattern: str | None) -> str | None:
    """What an answer votes for: the pattern's last match, or its normalised text; None where that is empty."""
    if pattern is None:
        return normalised_text(text) or None
    matches = list(re.finditer(pattern, text))
    return matches[-1][1 if matches[-1].re.groups else 0] if matches else None
