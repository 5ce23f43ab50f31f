"""A network is measured without dropout and gradients, and goes on as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from luthier.api import evaluation_mode


def test_each_module_goes_on_in_the_mode_that_it_had():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(2, 2)).train()
    network[1].eval()  # as one that an adaptation keeps still
    with evaluation_mode(network):
        assert not any(module.training for module in network.modules())
        assert not network(torch.ones(1, 2)).requires_grad
    assert [module.training for module in network.modules()] == [True, True, False, True]
    assert network(torch.ones(1, 2)).requires_grad


def test_an_error_inside_leaves_the_network_as_it_was():
    network = nn.Linear(2, 2).train()
    with pytest.raises(ValueError, match="inside"), evaluation_mode(network):
        raise ValueError("inside")
    assert network.training
    assert torch.is_grad_enabled()
