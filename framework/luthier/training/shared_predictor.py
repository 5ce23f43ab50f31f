"""A predictor whose work all ranks share: the first one leads, and the others compute their shares of what it asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.predictor import Conversation
from luthier.contracts.sampling import Answer, Sampling
from luthier.errors import LuthierError
from luthier.inference.generation import generate
from luthier.inference.predictor import NetworkPredictor, refuse_reward_model
from luthier.training.company import in_company
from luthier.training.first_rank import of_first_rank

END: Any = None
"""The order after which the other ranks no longer wait for orders."""


@dataclass
class SharedPredictor(NetworkPredictor):
    """Computes every list of items on all ranks of `group`, item i on rank i modulo their number; leads on the first.

    What is computed of an item depends neither on the rank nor on the items beside it, but for rounding. Each
    `tensor_ranks` ranks side by side split layers, and compute the same items as if they were one.
    """

    group: Any = None
    tensor_ranks: int = 1

    def lead(self, work: Callable[[SharedPredictor], Any]) -> Any:
        """On the first rank what `work` gives, whose calls all ranks compute; None on the others, which end with it."""
        if dist.get_rank() > 0:
            self._serve()
            return None
        try:
            return work(self)
        finally:
            of_first_rank(END, self.group)

    def answers(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | None = None,
        *,
        on_token: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        refuse_reward_model(self.network)
        found = self._shared("answers", list(enumerate(conversations)), sampling or Sampling())
        return [answer for answers in found for answer in answers]

    def score_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        if not conversations:
            return super().score_labels(conversations, labels)
        return np.stack(self._shared("score_labels", conversations, list(labels)))

    def class_outputs(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        if not examples:
            return super().class_outputs(examples)
        return np.stack(self._shared("class_outputs", examples))

    def word_scores(self, examples: Sequence[Example]) -> list[NDArray[np.floating[Any]]]:
        return self._shared("word_scores", examples)

    def log_probs(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.float32]]:
        return self._shared("log_probs", sequences)

    def likeliest(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.bool_]]:
        return self._shared("likeliest", sequences)

    def rewards(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        if not conversations:
            return super().rewards(conversations)
        return np.stack(self._shared("rewards", conversations))

    def _measured_as_shown(self, examples: Sequence[tuple[Example, Example]]) -> dict[str, NDArray[np.float64]]:
        if not examples:
            return super()._measured_as_shown(examples)
        found = self._shared("measured", examples)
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def _shared(self, what: str, items: Sequence[Any], *settings: Any) -> list[Any]:
        """What is computed of each item, in their order; the error of the lowest rank that has one."""
        of_first_rank((what, list(items), settings), self.group)
        return self._gathered(what, items, settings)

    def _serve(self) -> None:
        while (order := of_first_rank(END, self.group)) is not END:
            try:
                self._gathered(*order)
            except LuthierError:  # the first rank raises it, and says what follows
                continue

    def _gathered(self, what: str, items: Sequence[Any], settings: tuple[Any, ...]) -> list[Any]:
        world, rank = (number // self.tensor_ranks for number in (dist.get_world_size(), dist.get_rank()))
        share = items[rank::world]
        alone = NetworkPredictor(self.network, self.tokenizer, self.prompt, self.method, self.autocast)
        mine = in_company(self.network, self.group, lambda: _SHARES[what](alone, share, *settings) if share else [])
        found: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(found, mine, group=self.group)
        shares = found[:: self.tensor_ranks]
        for one in shares:
            if isinstance(one, LuthierError):
                raise one
        return [shares[place % world][place // world] for place in range(len(items))]


def _answers(predictor: NetworkPredictor, share: Sequence[Any], sampling: Sampling) -> list[list[Answer]]:
    numbers, conversations = [number for number, _ in share], [one for _, one in share]
    answers = generate(predictor.network, predictor.tokenizer, conversations, sampling, numbers=numbers)
    samples = sampling.num_samples
    return [answers[begin : begin + samples] for begin in range(0, len(answers), samples)]


def _measured(predictor: NetworkPredictor, share: Sequence[tuple[Example, Example]]) -> list[dict[str, Any]]:
    measured = predictor._measured_as_shown(share)
    return [{name: values[number] for name, values in measured.items()} for number in range(len(share))]


_SHARES: dict[str, Callable[..., Any]] = {
    "answers": _answers,
    "measured": _measured,
    "score_labels": NetworkPredictor.score_labels,
    "class_outputs": NetworkPredictor.class_outputs,
    "word_scores": NetworkPredictor.word_scores,
    "log_probs": NetworkPredictor.log_probs,
    "likeliest": NetworkPredictor.likeliest,
    "rewards": NetworkPredictor.rewards,
}
