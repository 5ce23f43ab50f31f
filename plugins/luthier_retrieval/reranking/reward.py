"""An earlier run that judges answers, asked about passages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock

from luthier.api import Artifact, RecipeError, is_reward_model, load, unwrapped
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking, by_score


class Reward(Reranking):
    """Order passages by the reward that an earlier run of `method=reward_model` gives them as answers."""

    def __init__(self, *, path: str) -> None:
        self.path = path
        self._one_at_a_time = Lock()

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        asked = {"role": "user", "content": question}
        answers = ({"role": "assistant", "content": passage.searched} for passage in passages)
        with self._one_at_a_time:
            return by_score(self._judge.rewards([[asked, answer] for answer in answers]).tolist())

    @cached_property
    def _judge(self) -> Artifact:
        judge = load(self.path)
        if is_reward_model(judge.network) and (outputs := unwrapped(judge.network).config.num_labels) != 1:  # type: ignore[union-attr]
            raise RecipeError(
                f"The run in {self.path} says {outputs} numbers of an answer, and an order needs one.",
                where="prompt.reranking.path",
                hint="Use a reward model that was trained on pairs or on ratings.",
            )
        return judge
