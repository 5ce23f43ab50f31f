"""The reference policy without a second network: the adapted network with its adaptation disabled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from luthier.contracts.adaptation import Adaptation
from luthier.models.adaptation import ADAPTER_NAME
from luthier.models.evaluation_mode import evaluation_mode


def can_disable_adaptation(adaptation: Adaptation) -> bool:
    """Whether the adaptation can be disabled, so that the reference policy needs no second copy of the network."""
    return type(adaptation).use is not Adaptation.use


@contextmanager
def adaptation_disabled(network: nn.Module, adaptation: Adaptation) -> Iterator[None]:
    """A context in which the adapted network computes as its base: adapter disabled, evaluation mode, no gradients."""
    adaptation.use(network, None)
    try:
        with evaluation_mode(network):
            yield
    finally:
        adaptation.use(network, ADAPTER_NAME)
