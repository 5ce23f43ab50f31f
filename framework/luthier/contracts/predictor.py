"""What is evaluated: any model that can be asked, freshly built, in training or loaded from an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import TokenSequence
from luthier.contracts.conversation import Conversation, Message, ToolConversation
from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.sampling import Answer, Sampling
    from luthier.contracts.training import Criterion

__all__ = ["Conversation", "Message", "Predictor", "ToolConversation"]


class Predictor(Protocol):
    """A network with its tokenizer and prompt. It brings the examples of a call into batches as it sees fit."""

    @property
    def network(self) -> nn.Module:
        """The network, in evaluation mode while it is measured."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the network."""

    @property
    def prompt(self) -> Prompt:
        """How an example becomes text."""

    def answers(self, conversations: Sequence[Conversation], sampling: Sampling) -> list[Answer]:
        """The next assistant turn of each conversation."""

    def score_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.floating[Any]]:
        """log p(label as the next assistant turn) [conversations, labels], from one forward pass each."""

    def log_probs(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.floating[Any]]]:
        """log p(token | those before it) for each token of each sequence, [n]; 0 for the first."""

    def likeliest(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.bool_]]:
        """Whether each token of each sequence is the likeliest after those before it, bool [n]; False for the first."""

    @property
    def method(self) -> Criterion | None:
        """What it is measured by; it says whether the loss is a likelihood and whether the network can be asked."""

    @property
    def is_classifier(self) -> bool:
        """Whether the network has a classification head, which reads texts and no conversations."""

    def class_outputs(self, examples: Sequence[Example]) -> NDArray[np.floating[Any]]:
        """The outputs of a classification head for the text of each example, [examples, outputs]."""

    def word_scores(self, examples: Sequence[Example]) -> list[NDArray[np.floating[Any]]]:
        """log p(tag) of each word of each example by a tagger, [words, tags]."""

    def label_log_probs(self, examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.floating[Any]]:
        """log p(label) of the text of each example by the head, [examples, labels]; -inf for a label it has not."""

    def measured(self, examples: Sequence[Example]) -> dict[str, NDArray[np.float64]]:
        """The method's own statistics for each example, [examples, s]; `loss` is (sum, weight)."""
