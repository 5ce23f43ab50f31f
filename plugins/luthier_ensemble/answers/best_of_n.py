"""The best of several answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, RecipeError, Sampling
from luthier_ensemble.answers.panel import Conversation, Member, Panel, PanelNetwork

if TYPE_CHECKING:
    from luthier.api import Model

log = logging.getLogger("luthier")


class BestOfN(Panel):
    """Draw `samples` answers of each member at `temperature`, and say the one that `reward` finds best.

    The reward sees the conversation and the answers, and no reference: an answer of `method/reward` that looks at the
    text alone, such as a reward model, a judge or a check. An answer that it has no score for is never chosen before
    one that has. Labels are the first member's.
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

    def joined(self, members: Sequence[Member]) -> BestNetwork:
        return BestNetwork(members, self)


class BestNetwork(PanelNetwork):
    def __init__(self, members: Sequence[Member], choice: BestOfN) -> None:
        super().__init__(members)
        self.choice = choice

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        asked, samples = settings.num_samples, self.choice.samples
        drawing = replace(settings, num_samples=asked * samples, temperature=self.choice.temperature)
        said = [member.answers(conversations, drawing) for member in self.members]
        found = []
        for number, conversation in enumerate(conversations):
            for sample in range(asked):
                place = (number * asked + sample) * samples
                found.append(self._best(conversation, [one for each in said for one in each[place : place + samples]]))
        return found

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        return self.members[0].labels(conversations, labels)

    def _best(self, conversation: Conversation, answers: Sequence[Answer]) -> Answer:
        scores = self.choice.reward(conversation, [answer.text for answer in answers], {"messages": list(conversation)})
        known = [place for place, score in enumerate(scores) if score is not None]
        if not known:
            log.warning("The reward has no score for any of %d answers; the first of them is said.", len(answers))
            return answers[0]
        return answers[max(known, key=lambda place: scores[place])]
