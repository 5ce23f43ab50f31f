"""The reference policy of KL penalties: the network as it was before training."""

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
    next_token_log_probs,
)


class ReferencePolicy:
    """The network with its adaptation disabled where that is possible, else a frozen copy of the model in memory.

    The copy is loaded by `load` at the first use. Log-probabilities are at `temperature`, that of the sampling. As the
    answers are sampled anew at each step, their reference log-probabilities cannot be computed ahead of training.
    """

    def __init__(self, adaptation: Adaptation, load: Callable[[], nn.Module], temperature: float) -> None:
        self.adaptation, self.load, self.temperature = adaptation, load, temperature
        self._copy: tuple[nn.Module, LMHead] | None = None

    @torch.no_grad()
    def log_probs(self, network: nn.Module, head: LMHead, batch: Batch) -> Tensor:
        """log π_ref(next token) at each position, float32 [B, T]; 0 where that token has no weight."""
        if can_disable_adaptation(self.adaptation):
            with adaptation_disabled(network, self.adaptation):
                return next_token_log_probs(network, head, batch)
        if self._copy is None:
            copy = self.load().to(next(network.parameters()).device).eval().requires_grad_(False)
            self._copy = copy, find_lm_head(copy).at_temperature(self.temperature)
        return next_token_log_probs(*self._copy, batch)

    @property
    def description(self) -> str:
        """For the report."""
        if can_disable_adaptation(self.adaptation):
            return "the network with its adaptation switched off"
        return "a copy of the network in memory"
