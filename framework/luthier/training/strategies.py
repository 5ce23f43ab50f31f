"""Distributed strategies."""

from __future__ import annotations

from collections.abc import Callable

from pytorch_lightning.strategies import Strategy as LightningStrategy

from luthier.training.launcher import Ddp

Strategy = Callable[[], "LightningStrategy | str"]


class Single:
    """One device, or what Lightning chooses."""

    def __call__(self) -> str:
        return "auto"


class DistributedDataParallel:
    """Each device holds the whole network and a share of every batch; gradients are averaged while they are made.

    `find_unused` looks for weights that a step did not touch, at some cost. `bucket_mb` is the size of the pieces in
    which gradients travel.
    """

    def __init__(self, *, find_unused: bool = False, bucket_mb: int = 25) -> None:
        self.find_unused, self.bucket_mb = find_unused, bucket_mb

    def __call__(self) -> LightningStrategy:
        return Ddp(find_unused_parameters=self.find_unused, bucket_cap_mb=self.bucket_mb)
