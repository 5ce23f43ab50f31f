"""How fast the machine multiplies is measured in a moment, whatever the processor knows of the dtype."""

from __future__ import annotations

import time

import pytest
import torch

from luthier.workflows.planning import machine


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [64, 2048])
def test_the_speed_is_measured_in_a_moment(dtype, width):
    began = time.monotonic()
    assert machine.flops(torch.device("cpu"), dtype, width=width) > 1e7
    assert time.monotonic() - began < 20  # products of the whole width took five minutes where bfloat16 is emulated
