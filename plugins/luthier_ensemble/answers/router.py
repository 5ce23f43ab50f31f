"""Each question to the model that knows its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.api import Answer, Bm25, RecipeError, Sampling, nearest
from luthier_ensemble.answers.panel import Conversation, Member, Panel, PanelNetwork

if TYPE_CHECKING:
    from luthier.api import Model


class Router(Panel):
    """Ask the member whose `examples`, questions of its kind, share the most telling words with what was said last.

    The scores (BM25) of its `neighbours` nearest examples add up for each member. What shares no word with any goes to
    the first member.
    """

    def __init__(self, *, members: dict[str, Model], examples: dict[str, list[str]], neighbours: int = 3) -> None:
        super().__init__(members)
        for name in examples:
            if name not in members:
                raise RecipeError(
                    f"There is no member {name!r} to send questions to.",
                    where=f"model.examples.{name}",
                    hint=nearest(name, members, "The members are"),
                )
        for name in members:
            if not examples.get(name):
                raise RecipeError(
                    f"{name} has no examples, so no question would be sent to it.", where=f"model.examples.{name}"
                )
        if neighbours < 1:
            raise RecipeError("At least 1 neighbour counts.", where="model.neighbours")
        self.examples, self.neighbours = examples, neighbours

    def joined(self, members: Sequence[Member]) -> RoutingNetwork:
        return RoutingNetwork(members, self.examples, self.neighbours)


class RoutingNetwork(PanelNetwork):
    def __init__(self, members: Sequence[Member], examples: Mapping[str, Sequence[str]], neighbours: int) -> None:
        super().__init__(members)
        self.neighbours = neighbours
        owned = [(place, text) for place, member in enumerate(members) for text in examples[member.name]]
        self.owners = np.array([place for place, _ in owned])
        self.index = Bm25([text for _, text in owned], k1=1.5, b=0.75)

    def route(self, conversation: Conversation) -> int:
        """The place of the member that is asked."""
        said = next((str(turn.get("content") or "") for turn in reversed(conversation) if turn["role"] == "user"), "")
        scores = self.index.scores(said)
        return int(np.argmax([self._near(scores[self.owners == place]) for place in range(len(self.members))]))

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        found: dict[int, list[Answer]] = {}
        for place, numbers in self._routed(conversations):
            said = self.members[place].answers([conversations[number] for number in numbers], settings)
            for at, number in enumerate(numbers):
                found[number] = said[at * settings.num_samples : (at + 1) * settings.num_samples]
        return [answer for number in range(len(conversations)) for answer in found[number]]

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(conversations), len(labels)), dtype=np.float32)
        for place, numbers in self._routed(conversations):
            found[numbers] = self.members[place].labels([conversations[number] for number in numbers], labels)
        return found

    def _routed(self, conversations: Sequence[Conversation]) -> list[tuple[int, list[int]]]:
        """Each member that is asked, with the numbers of its conversations."""
        routes = [self.route(conversation) for conversation in conversations]
        asked = sorted(set(routes))
        return [(place, [number for number, route in enumerate(routes) if route == place]) for place in asked]

    def _near(self, scores: NDArray[np.float32]) -> float:
        return float(np.sort(scores)[-self.neighbours :].sum())
