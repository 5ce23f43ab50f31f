"""What every signal of a distillation keeps to; inherit it, and say the answer.

class TestMine(SignalContract):
    answer = "method/signal=mine"
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch

from luthier.contracts.distillation import Signal, TokenDistributions
from luthier.testing.method import ALL, update
from luthier.testing.part import PartContract


class SignalContract(PartContract):
    """Compares given distributions, and distils one tiny model into another one."""

    around: ClassVar[tuple[str, ...]] = ("method=distill", "model.seed=1")

    def test_each_token_has_a_loss_whose_gradient_reaches_the_student(self) -> None:
        distributions = _distributions()
        losses = self._signal()(distributions)
        assert losses.shape == (4,)
        assert torch.isfinite(losses).all()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        assert distributions.logits.grad is not None
        assert torch.isfinite(distributions.logits.grad).all()

    def test_the_loss_of_a_token_depends_on_no_other(self) -> None:
        """Tokens are compared in chunks, of any size."""
        whole = self._signal()(_distributions())
        parts = [self._signal()(_distributions(slice(number, number + 1))) for number in range(4)]
        torch.testing.assert_close(torch.cat(parts), whole)

    @pytest.mark.parametrize("micro", [1, 3])
    def test_the_update_does_not_depend_on_micro_batches(self, micro: int, tmp_path: Path) -> None:
        words = (*self.recipe(), "batch.packing=false")
        whole = update(tmp_path / "whole", *words, f"batch.micro={ALL}", plugins=self.plugins)
        whole.assert_same(update(tmp_path / "cut", *words, f"batch.micro={micro}", plugins=self.plugins))

    def _signal(self) -> Signal:
        built: Signal = self.built()
        return built


def _distributions(rows: slice = slice(None)) -> TokenDistributions:
    """Four tokens over a vocabulary of seven, or some of them."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(4, 7, generator=generator)[rows] for _ in range(2))
    targets = torch.tensor([1, 4, 0, 6])[rows]
    return TokenDistributions(student.requires_grad_(), lambda heat: torch.log_softmax(teacher / heat, -1), targets)
