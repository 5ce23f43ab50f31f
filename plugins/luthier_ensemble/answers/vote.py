"""A vote on whole answers."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, RecipeError, Sampling, nearest, normalised_text
from luthier_ensemble.answers.panel import Conversation, Member, Panel, PanelNetwork

if TYPE_CHECKING:
    from luthier.api import Model


class Vote(Panel):
    """Say what most members say, each as often as it has `samples`; of equal ones what was said first.

    One sample is made as it is asked for; several are drawn at `temperature`: with a single member that is
    self-consistency (Wang et al., 2023). Answers agree whose texts are the same but for case, punctuation and articles,
    or, with `read`, in the last match of this regular expression, or of its first group. Labels get the mean of the
    probabilities that the members give them.
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
            if name not in members or weight <= 0:
                raise RecipeError(
                    f"There is no member {name!r}." if name not in members else f"The vote of {name} counts {weight}.",
                    where=f"model.weights.{name}",
                    hint=nearest(name, members, "The members are"),
                )
        try:
            re.compile(read or "")
        except re.error as error:
            raise RecipeError(f"{read!r} is no regular expression: {error}.", where="model.read") from error
        self.weights, self.samples, self.temperature, self.read = weights, samples, temperature, read

    def joined(self, members: Sequence[Member]) -> VotingNetwork:
        return VotingNetwork(members, self)


class VotingNetwork(PanelNetwork):
    def __init__(self, members: Sequence[Member], vote: Vote) -> None:
        super().__init__(members)
        self.vote = vote
        self.shares = [float((vote.weights or {}).get(member.name, 1.0)) for member in members]

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        samples = self.vote.samples
        if samples > 1:
            settings = replace(settings, num_samples=settings.num_samples * samples, temperature=self.vote.temperature)
        said = [member.answers(conversations, settings) for member in self.members]
        wanted = range(0, len(said[0]), samples)
        return [self._elected([each[place : place + samples] for each in said]) for place in wanted]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        found = [
            member.labels(conversations, labels) + np.log(share / sum(self.shares))
            for member, share in zip(self.members, self.shares, strict=True)
        ]
        mixed: NDArray[np.float32] = np.logaddexp.reduce(found, axis=0).astype(np.float32)
        return mixed

    def _elected(self, said: Sequence[Sequence[Answer]]) -> Answer:
        """Of the answers of each member the first that says what most say; answers without anything to read abstain."""
        first: dict[str, Answer] = {}
        votes: defaultdict[str, float] = defaultdict(float)
        for answers, share in zip(said, self.shares, strict=True):
            for answer in answers:
                if (key := reading(answer.text, self.vote.read)) is not None:
                    first.setdefault(key, answer)
                    votes[key] += share
        return first[max(votes, key=votes.__getitem__)] if votes else said[0][0]


def reading(text: str, pattern: str | None) -> str | None:
    """What an answer says: by the pattern's last match, or as a whole; None where there is nothing."""
    if pattern is None:
        return normalised_text(text) or None
    found = list(re.finditer(pattern, text))
    return found[-1][1 if found[-1].re.groups else 0] if found else None
