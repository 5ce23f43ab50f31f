"""A router: each conversation goes to the member with the most similar example questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Bm25, Conversation, RecipeError, Sampling, check_names
from luthier_ensemble.answers.answer_ensemble import AnswerEnsemble, AnswerEnsembleNetwork, Member

if TYPE_CHECKING:
    from luthier.api import Model


class Router(AnswerEnsemble):
    """Route each conversation to the member whose `examples` are most similar to the last user message.

    The similarity to a member is the sum of the BM25 scores of its `neighbours` nearest examples. A message that shares
    no word with any example goes to the first member.
    """

    def __init__(self, *, members: dict[str, Model], examples: dict[str, list[str]], neighbours: int = 3) -> None:
        super().__init__(members)
        for name in examples:
            check_names([name], members, kind="member", use="to route questions to", where=f"model.examples.{name}")
        for name in members:
            if not examples.get(name):
                raise RecipeError(
                    f"{name} has no examples, so no question would be routed to it.", where=f"model.examples.{name}"
                )
        if neighbours < 1:
            raise RecipeError("neighbours is at least 1.", where="model.neighbours")
        self.examples, self.neighbours = examples, neighbours

    def combine(self, members: Sequence[Member]) -> RouterNetwork:
        return RouterNetwork(members, self.examples, self.neighbours)


class RouterNetwork(AnswerEnsembleNetwork):
    """Generates each answer with the member that its conversation is routed to."""

    def __init__(self, members: Sequence[Member], examples: Mapping[str, Sequence[str]], neighbours: int) -> None:
        super().__init__(members)
        self.neighbours = neighbours
        pairs = [(index, text) for index, member in enumerate(members) for text in examples[member.name]]
        self.member_of_example = np.array([index for index, _ in pairs])
        self.index = Bm25([text for _, text in pairs], k1=1.5, b=0.75)

    def route(self, conversation: Conversation) -> int:
        """The index of the member that answers."""
        user_texts = (str(turn.get("content") or "") for turn in reversed(conversation) if turn["role"] == "user")
        scores = self.index.scores(next(user_texts, ""))
        by_member = [scores[self.member_of_example == index] for index in range(len(self.members))]
        return int(np.argmax([np.sort(each)[-self.neighbours :].sum() for each in by_member]))

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        count, by_conversation = settings.num_samples, dict[int, list[Answer]]()
        for member, indices in self._routed(conversations):
            answers = member.answers([conversations[index] for index in indices], settings)
            groups = (answers[start : start + count] for start in range(0, len(answers), count))
            by_conversation |= dict(zip(indices, groups, strict=True))
        return [answer for index in range(len(conversations)) for answer in by_conversation[index]]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        scores = np.zeros((len(conversations), len(labels)), dtype=np.float32)
        for member, indices in self._routed(conversations):
            scores[indices] = member.labels([conversations[index] for index in indices], labels)
        return scores

    def _routed(self, conversations: Sequence[Conversation]) -> list[tuple[Member, list[int]]]:
        """Each member that conversations are routed to, with their indices."""
        routes = [self.route(conversation) for conversation in conversations]
        return [
            (self.members[route], [index for index, each in enumerate(routes) if each == route])
            for route in sorted(set(routes))
        ]
