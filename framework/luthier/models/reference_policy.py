"""The reference policy without a second network: the adapted network with its adaptation disabled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from luthier.contracts.adaptation import Adaptation
from luthier.models.adaptation import ADAPTER_NAME


def can_disable_adaptation(adaptation: Adaptation) -> bool:
    """Whether the adaptation can be disabled, so that the reference policy needs no second copy of the network."""
    return type(adaptation).use is not Adaptation.use


@contextmanager
def adaptation_disabled(network: nn.Module, adaptation: Adaptation) -> Iterator[None]:
    """A context in which the adapted network computes as its base: adapter disabled, evaluation mode, no gradients."""
    training = network.training
    network.eval()
    adaptation.use(network, None)
    try:
        with torch.no_grad():
            yield
    finally:
        adaptation.use(network, ADAPTER_NAME)
        network.train(training)
