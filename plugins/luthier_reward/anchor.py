"""Where the model began: log-probabilities under the network as it was before it was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from luthier.head import Head, find_head
from luthier.parts import Adaptation, Batch

Score = Callable[[nn.Module, Head, Batch], Tensor]
"""log p of the next token at each place of a batch, under a network and its head."""


class Anchor:
    """The network without its adapter where the adaptation can be switched off, else a copy that never moves."""

    def __init__(self, adaptation: Adaptation, load: Callable[[], nn.Module]) -> None:
        self.adaptation, self.load = adaptation, load
        self._copy: nn.Module | None = None
        self._head: Head | None = None
        self.switches = type(adaptation).use is not Adaptation.use

    @torch.no_grad()
    def log_probs(self, network: nn.Module, head: Head, batch: Batch, score: Score) -> Tensor:
        """As `score` says for the network of the beginning, in evaluation mode."""
        if self.switches:
            with _switched(network, self.adaptation):
                return score(network, head, batch)
        if self._copy is None or self._head is None:
            device = next(network.parameters()).device
            self._copy = self.load().to(device).eval().requires_grad_(False)
            self._head = find_head(self._copy)
        return score(self._copy, self._head, batch)

    @property
    def said(self) -> str:
        """For the report."""
        return "the network with its adaptation switched off" if self.switches else "a copy of the network in memory"


@contextmanager
def _switched(network: nn.Module, adaptation: Adaptation) -> Iterator[None]:
    training = network.training
    network.eval()
    adaptation.use(network, None)
    try:
        yield
    finally:
        adaptation.use(network, "default")
        network.train(training)
