"""The network as it was before a run: itself with its adaptation switched off, where the adaptation allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from luthier.contracts.adaptation import Adaptation
from luthier.models.adaptation import ADAPTER_NAME


def can_disable_adaptation(adaptation: Adaptation) -> bool:
    """Whether the network can be asked as it came, without a second copy: the adaptation has a `use` of its own."""
    return type(adaptation).use is not Adaptation.use


@contextmanager
def adaptation_disabled(network: nn.Module, adaptation: Adaptation) -> Iterator[None]:
    """Inside it an adapted network answers as it came: without its adapter, in evaluation mode, without gradients."""
    training = network.training
    network.eval()
    adaptation.use(network, None)
    try:
        with torch.no_grad():
            yield
    finally:
        adaptation.use(network, ADAPTER_NAME)
        network.train(training)
