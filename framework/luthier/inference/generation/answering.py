"""Networks that answer in a way of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from luthier.contracts.sampling import Answer, Sampling

Conversation = Sequence[dict[str, Any]]


@runtime_checkable
class AnsweringNetwork(Protocol):
    """A network that does not answer token by token, but for instance by asking several others and choosing.

    Whoever asks it for hidden states or losses gets those of the one that it leads with.
    """

    def write_answers(self, conversations: Sequence[Conversation], settings: Sampling) -> list[Answer]:
        """As `generate`: `num_samples` answers to each conversation, all of the first one first."""

    def judge_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """As `score_labels`: how likely each label is as the next turn, in logarithms."""
