"""Reranking by a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock

from luthier.api import Artifact, RecipeError, is_reward_model, load, unwrapped
from luthier_retrieval.chunking import Passage
from luthier_retrieval.reranking import Reranking, by_score


class RewardReranking(Reranking):
    """Order passages by the reward that an earlier run of `method=reward_model` gives them as answers."""

    def __init__(self, *, path: str) -> None:
        self.path = path
        self._lock = Lock()

    def __call__(self, question: str, passages: Sequence[Passage]) -> list[int]:
        prompt = {"role": "user", "content": question}
        answers = ({"role": "assistant", "content": passage.indexed_text} for passage in passages)
        with self._lock:
            return by_score(self._reward_model.rewards([[prompt, answer] for answer in answers]).tolist())

    @cached_property
    def _reward_model(self) -> Artifact:
        model = load(self.path)
        if is_reward_model(model.network) and (outputs := unwrapped(model.network).config.num_labels) != 1:  # type: ignore[union-attr]
            raise RecipeError(
                f"The reward model in {self.path} has {outputs} outputs, and reranking needs one.",
                where="prompt.reranking.path",
                hint="Use a reward model that was trained on pairs or on ratings.",
            )
        return model
