"""What every optimizer keeps to; inherit it, and say the answer.

class TestMine(OptimizerContract):
    answer = "optimizer=mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from luthier.testing.part import PartContract
from luthier.testing.resumed import assert_resumed_bit_equal


class OptimizerContract(PartContract):
    """Moves the weights of a network of two layers, and trains the tiny model."""

    def test_it_moves_each_weight_that_it_is_given(self) -> None:
        network = _network()
        before = [weight.detach().clone() for weight in network.parameters()]
        _steps(network, self._configured(network))
        assert all(not torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))

    def test_steps_against_the_gradient_lower_the_loss(self) -> None:
        network = _network()
        losses = _steps(network, self._configured(network), count=20)
        assert losses[-1] < losses[0]

    def test_a_weight_moves_at_the_rate_of_its_name(self) -> None:
        network = _network()
        first = network.get_parameter("0.weight")
        before = first.detach().clone()
        _steps(network, self._configured(network, still="0.weight"))
        assert torch.equal(first, before)

    def test_a_resumed_training_is_bit_equal(self, tmp_path: Path) -> None:
        assert_resumed_bit_equal(tmp_path, *self.recipe(), plugins=self.plugins)

    def _configured(self, network: nn.Module, *, still: str = "") -> Any:
        """What Lightning's `configure_optimizers` returns, for a training of 20 steps."""
        named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
        return self.built(f"{self.node()}.lr=0.01")(named, 20, lambda name: 0.0 if name == still else 1.0)


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))


def _steps(network: nn.Module, configured: Any, *, count: int = 3) -> list[float]:
    """The loss before each of some steps of a regression."""
    optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    inputs = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(count):
        loss = (network(inputs) - inputs).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if isinstance(configured, dict) and "lr_scheduler" in configured:
            configured["lr_scheduler"]["scheduler"].step()
        losses.append(float(loss))
    return losses
