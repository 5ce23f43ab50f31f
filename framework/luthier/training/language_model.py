"""The base of methods on causal language models: packed forward passes, cross-entropy, log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row
from luthier.contracts.training import Loss
from luthier.data.shared_prefixes import sequence_sums
from luthier.inference.log_probabilities import weighted_losses
from luthier.inference.proof import prove_adapted
from luthier.models.attention import layout_of
from luthier.models.lm_head import LMHead, find_lm_head, hidden_states
from luthier.training.method import Method


class LanguageModelMethod(Method):
    """A method on a causal language model, which never holds the logits of a whole batch."""

    head: LMHead
    """The LM head of `network`, through which logits are computed chunk by chunk."""

    def load(self) -> None:
        """Load the network as it comes, and find where its head begins."""
        super().load()
        self.head = find_lm_head(self.network)

    def configure_model(self) -> None:
        """Load and adapt, and find where the adapted network's head begins."""
        proved = self.adapted
        super().configure_model()
        self.head = find_lm_head(self.network)
        if not proved and not any(weight.is_meta for weight in self.network.parameters()):
            seconds = prove_adapted(self.network, self.adaptation)
            layout = layout_of(self.network)
            if layout.reason:
                self.facts["Packed texts"] = f"computed {layout.packed} under {layout.attention}: {layout.reason}"
            self.facts["Proof before training"] = f"packed, padded and step by step as alone ({seconds:.2f} s)"

    def take(self, network: nn.Module) -> None:
        """Go on with a network that was adapted and trained before, and find where its head begins."""
        super().take(network)
        self.head = find_lm_head(network)

    def hidden_states(self, batch: Batch) -> Tensor:
        """The last hidden states of a packed batch, [B, T, H]."""
        return hidden_states(self.network, batch)

    def cross_entropy(self, batch: Batch) -> Loss:
        """The weighted sum of -log p(token) over the batch and the sum of the weights."""
        targets, weights = shifted_targets(batch)
        total, weight = self.head.cross_entropy(self.hidden_states(batch).flatten(0, 1), targets, weights)
        return Loss(total, weight)

    def cross_entropies(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """`cross_entropy` of each row by itself, (sum, weight), from packed forward passes without gradients."""
        return weighted_losses(self.network, rows)

    def token_log_probs(self, batch: Batch) -> Tensor:
        """log p(next token) at each position, float32 [B, T]; 0 where that token has no weight."""
        return next_token_log_probs(self.network, self.head, batch)

    def sequence_log_probs(self, batch: Batch) -> Tensor:
        """The weighted sum of log p over the tokens of each sequence, float32 [len(batch.sequence_numbers)]."""
        return sequence_log_probs(self.network, self.head, batch)


def shifted_targets(batch: Batch) -> tuple[Tensor, Tensor]:
    """Targets int64 [B·T] and weights float32 [B·T] of predicting the next token.

    The first token of each packed sequence is masked: it has weight 0.
    """
    targets = torch.zeros_like(batch.input_ids)
    weights = torch.zeros_like(batch.weights)
    targets[:, :-1] = batch.input_ids[:, 1:]
    weights[:, :-1] = batch.weights[:, 1:] * (batch.positions[:, 1:] > 0)
    return targets.flatten(), weights.flatten()


def next_token_log_probs(network: nn.Module, head: LMHead, batch: Batch) -> Tensor:
    """log p(next token) at each position under a network and its head, float32 [B, T]; 0 where it has no weight."""
    targets, weights = shifted_targets(batch)
    predicted = weights.nonzero().flatten()
    log_probs = head.log_probs(hidden_states(network, batch).flatten(0, 1)[predicted], targets[predicted])
    return log_probs.new_zeros(len(targets)).index_copy(0, predicted, log_probs).view(batch.input_ids.shape)


def sequence_log_probs(network: nn.Module, head: LMHead, batch: Batch) -> Tensor:
    """The weighted sum of log p over the tokens of each sequence, float32 [len(batch.sequence_numbers)]."""
    _, weights = shifted_targets(batch)
    return sequence_sums(next_token_log_probs(network, head, batch) * weights.view(batch.input_ids.shape), batch)
