"""Networks with a generation procedure of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from luthier.contracts.predictor import Conversation
    from luthier.contracts.sampling import Answer, Sampling


@runtime_checkable
class AnsweringNetwork(Protocol):
    """A network that generates whole answers by itself, for example by choosing among those of several networks.

    Its hidden states and losses are those of its leading member.
    """

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        """As `generate`: `num_samples` answers to each conversation, all of the first one first."""

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """As `score_labels`: log p(label as the next turn), float32 [conversations, labels]."""
