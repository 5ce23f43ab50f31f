"""Best-of-n sampling: the sampled answer with the highest reward."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Conversation, RecipeError, Sampling
from luthier_ensemble.answers.answer_ensemble import AnswerEnsemble, AnswerEnsembleNetwork, Member

if TYPE_CHECKING:
    from luthier.api import Model

log = logging.getLogger("luthier")


class BestOfN(AnswerEnsemble):
    """Sample `samples` answers of each member at `temperature`, and return the one with the highest `reward`.

    The reward gets the conversation and the answers, and no reference answer: one of `method/reward` that needs the
    text alone, such as a reward model, a judge or a check. An answer without a score is never preferred to one with a
    score. Label scores are the first member's.
    """

    def __init__(self, *, members: dict[str, Model], reward: Any, samples: int = 4, temperature: float = 0.8) -> None:
        super().__init__(members)
        if samples < 1 or temperature <= 0:
            raise RecipeError(
                f"{samples} answers at a temperature of {temperature} leave nothing to choose.",
                where="model.samples",
                hint="Draw at least one, at a temperature above 0.",
            )
        self.reward, self.samples, self.temperature = reward, samples, temperature

    @property
    def settings(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self.reward).items() if isinstance(value, (str, int, float))}
        return {**super().settings, "reward": {"kind": type(self.reward).__name__, **plain}}

    def combine(self, members: Sequence[Member]) -> BestOfNNetwork:
        return BestOfNNetwork(members, self)


class BestOfNNetwork(AnswerEnsembleNetwork):
    """Samples with every member and returns the answers with the highest reward."""

    def __init__(self, members: Sequence[Member], best_of_n: BestOfN) -> None:
        super().__init__(members)
        self.best_of_n = best_of_n

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        count, samples = settings.num_samples, self.best_of_n.samples
        sampling = replace(settings, num_samples=count * samples, temperature=self.best_of_n.temperature)
        by_member = [member.answers(conversations, sampling) for member in self.members]
        best = []
        for index in range(len(conversations) * count):
            part = slice(index * samples, (index + 1) * samples)
            candidates = [answer for answers in by_member for answer in answers[part]]
            best.append(self._best(conversations[index // count], candidates))
        return best

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        return self.members[0].labels(conversations, labels)

    def _best(self, conversation: Conversation, answers: Sequence[Answer]) -> Answer:
        scores = self.best_of_n.reward(
            conversation, [answer.text for answer in answers], {"messages": list(conversation)}
        )
        scored = [index for index, score in enumerate(scores) if score is not None]
        if not scored:
            log.warning("The reward has no score for any of %d answers; the first of them is returned.", len(answers))
            return answers[0]
        return answers[max(scored, key=lambda index: scores[index])]
