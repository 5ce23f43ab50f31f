"""Where the model began: log-probabilities under the network as it was before it was trained."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Batch,
    LMHead,
    adaptation_disabled,
    can_disable_adaptation,
    find_lm_head,
    last_hidden_state,
    network_inputs,
    shifted_targets,
    unwrapped,
)


class ReferencePolicy:
    """The network without its adapter where the adaptation can be switched off, else a copy that never moves.

    Answers that are written anew at each step cannot be scored ahead of it, so there is nothing to keep in its place.
    """

    def __init__(self, adaptation: Adaptation, load: Callable[[], nn.Module], temperature: float) -> None:
        self.adaptation, self.load, self.temperature = adaptation, load, temperature
        self._copy: nn.Module | None = None
        self._head: LMHead | None = None

    @torch.no_grad()
    def log_probs(self, network: nn.Module, head: LMHead, batch: Batch) -> Tensor:
        """log p of each token that is predicted, float32 [n], under the network of the beginning."""
        if can_disable_adaptation(self.adaptation):
            with adaptation_disabled(network, self.adaptation):
                return predicted(network, head, batch)
        if self._copy is None or self._head is None:
            device = next(network.parameters()).device
            self._copy = self.load().to(device).eval().requires_grad_(False)
            self._head = find_lm_head(self._copy).at_temperature(self.temperature)
        return predicted(self._copy, self._head, batch)

    @property
    def said(self) -> str:
        """For the report."""
        if can_disable_adaptation(self.adaptation):
            return "the network with its adaptation switched off"
        return "a copy of the network in memory"


def predicted(network: nn.Module, head: LMHead, batch: Batch) -> Tensor:
    """log p of each token that is predicted, float32 [n], under any network and its head."""
    targets, weights = shifted_targets(batch)
    where = weights.nonzero().flatten()
    hidden = last_hidden_state(network, network_inputs(batch, unwrapped(network).config)).flatten(0, 1)
    return head.log_probs(hidden[where], targets[where])
