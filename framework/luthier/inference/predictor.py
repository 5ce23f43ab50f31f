"""A model that can be asked: it generates, scores and says its losses, before, while and after it is customised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.contracts.prompt import Prompt
from luthier.contracts.sampling import Answer, Sampling
from luthier.data import encoding as encode
from luthier.errors import RecipeError
from luthier.inference import generation as generate
from luthier.inference import log_probabilities as scoring
from luthier.inference.reward_scores import reward_scores
from luthier.models.sequence_classification import is_reward_model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.contracts.training import Criterion

Conversation = Sequence[dict[str, Any]]


@dataclass
class NetworkPredictor:
    """A network with its tokenizer, its prompt and the method whose loss it is measured by.

    `autocast` is the dtype in which forward passes compute, None for the weights' own. Generation computes in the
    weights' own dtype.
    """

    network: nn.Module
    """The network."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer."""
    prompt: Prompt
    """How an example becomes text."""
    method: Criterion | None = None
    """The method whose loss it is measured by; None where there is none."""
    autocast: torch.dtype | None = None

    def generate(self, conversations: Sequence[Conversation], sampling: Sampling | None = None) -> list[str]:
        """The text of the next assistant turn of each conversation, asked through the prompt."""
        asked = [self.prompt({"messages": list(each)})["messages"] for each in conversations]
        return [answer.text for answer in self.answers(asked, sampling)]

    def answers(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling | None = None,
        *,
        heard: Callable[[Answer], None] | None = None,
    ) -> list[Answer]:
        """The next assistant turn of each conversation as it stands, with its tokens and why it ended.

        `heard` is called after each token with the answer so far. RecipeError for a model that judges.
        """
        if is_reward_model(self.network):
            raise RecipeError("The model judges and does not answer.", hint="Ask it with luthier.load(run).rewards.")
        with self._asked():
            return generate.generate(self.network, self.tokenizer, conversations, sampling or Sampling(), heard=heard)

    def score_labels(self, conversations: Sequence[Conversation], labels: Sequence[str]) -> NDArray[np.float32]:
        """log p(label as the next assistant turn), [conversations, labels]."""
        with self._asked(), self._computing():
            return generate.score_labels(self.network, self.tokenizer, conversations, labels)

    def log_probs(self, sequences: Sequence[TokenSequence]) -> list[NDArray[np.float32]]:
        """log p(token | those before it) for each token of each sequence; 0 for the first."""
        with self._asked(), self._computing():
            return scoring.log_probs(self.network, sequences)

    def rewards(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """What a model that judges says of each conversation: [conversations], or [conversations, outputs].

        RecipeError for a language model.
        """
        if not is_reward_model(self.network):
            raise RecipeError("The model answers and does not judge.", hint="Train one with method=reward_model.")
        sequences = [encode.encode_for_scoring({"messages": list(each)}, self.tokenizer) for each in conversations]
        with self._asked(), self._computing():
            found = reward_scores(self.network, sequences)
        return found[:, 0] if found.shape[1] == 1 else found

    def logprobs(self, conversation: Conversation) -> NDArray[np.float32]:
        """log p of each token of the assistant's turns of a conversation, in order."""
        sequence = encode.encode_conversation({"messages": list(conversation)}, self.tokenizer)
        return self.log_probs([sequence])[0][sequence.weights > 0]

    def measured(self, examples: Sequence[Example]) -> dict[str, NDArray[np.float64]]:
        """What the method measures of each example, [examples, s] by name; `loss` is (sum, weight)."""
        assert self.method is not None, "a subject without a method has no loss"
        rows = [self.method.encode(self.prompt(example), self.tokenizer) for example in examples]
        with self._asked(), self._computing():
            return self.method.measured_of(examples, rows)

    def _computing(self) -> Any:
        device = next(self.network.parameters()).device.type
        return torch.autocast(device, self.autocast) if self.autocast else nullcontext()

    def _asked(self) -> Any:
        return _evaluating(self.network)


class _evaluating:  # noqa: N801 - read as a verb at the `with`
    """Puts a network into evaluation mode, without gradients, and back."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.without_gradients = network, torch.no_grad()

    def __enter__(self) -> None:
        self.was_training = self.network.training
        self.network.eval()
        self.without_gradients.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.without_gradients.__exit__(*error)
        self.network.train(self.was_training)
