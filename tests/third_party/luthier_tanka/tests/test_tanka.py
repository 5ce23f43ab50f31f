"""The plugin's own tests: luthier's contract for sources, and what is its own."""

from __future__ import annotations

import math

import pytest
import torch
from luthier_tanka.files import Tanka
from luthier_tanka.objectives import Focal, Likelihood

from luthier.testing.source import SourceContract

TANKA = "# wood {}\nold maple table\nthe plane sings along it\n{} curls on the floor\nnobody sweeps\nevening has come\n"
POEMS = "\n".join(TANKA.format(number, number) for number in range(30))


class TestTanka(SourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        file = tmp_path / "poems.tanka"
        file.write_text(POEMS)
        return Tanka(file=str(file))


def test_focal_without_gamma_is_likelihood():
    log_probs = torch.tensor([-0.1, -2.0])
    assert torch.equal(Focal(gamma=0.0)(log_probs), Likelihood()(log_probs))
    assert Focal()(torch.tensor([math.log(0.5)])).item() == pytest.approx(0.25 * math.log(2))
