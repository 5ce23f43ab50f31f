"""The blocks of each micro-batch: a pure function of seed, epoch and index, for any number of devices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from luthier.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Order:
    """The assignment of `blocks` blocks to the micro-batches of `world` devices.

    An epoch is a permutation of the blocks. An optimizer step takes `size` consecutive blocks of it, the last step of
    the epoch the rest. Micro-batch m of rank r takes `share` of them, from (m · world + r) · share on, so that the
    blocks of a step do not depend on the number of devices. `share` is the smallest number of blocks with which a step
    needs no more micro-batches than with `micro`.
    """

    blocks: int
    size: int
    micro: int
    world: int = 1
    seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("micro", self.micro)):
            if value < 1:
                raise RecipeError(f"batch.{name} is {value}.", where=f"batch.{name}", hint="Use 1 or more.")
        if self.size < self.world:
            raise RecipeError(
                f"A step of batch.size={self.size} leaves nothing to do for some of {self.world} devices.",
                where="batch.size",
                hint=f"Set batch.size={self.world} or more, or use fewer devices.",
            )

    @property
    def accumulation(self) -> int:
        """Micro-batches of a full optimizer step on each device."""
        return -(-self.size // (self.micro * self.world))

    @property
    def share(self) -> int:
        """Blocks of one micro-batch."""
        return -(-self.size // (self.accumulation * self.world))

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch."""
        return -(-self.blocks // self.size)

    @property
    def micro_batches(self) -> int:
        """Micro-batches of an epoch on each device."""
        last = self.blocks - (self.steps - 1) * self.size
        return (self.steps - 1) * self.accumulation - (-last // (self.share * self.world)) if self.blocks else 0

    def blocks_of(self, epoch: int, index: int, rank: int) -> NDArray[np.int64]:
        """The blocks of a rank's micro-batch, int64 [≤ share]; fewer than `share`, or none, at the end of a step."""
        step, part = divmod(index, self.accumulation)
        begin = step * self.size + (part * self.world + rank) * self.share
        end = min(begin + self.share, (step + 1) * self.size, self.blocks)
        if not self.shuffle:
            return np.arange(begin, max(begin, end))
        return permutation(self.seed, epoch, self.blocks)[begin:end]

    def place(self, index: int) -> int:
        """The number of blocks of the epoch that all ranks have used before their micro-batch number `index`."""
        step, part = divmod(index, self.accumulation)
        return min(step * self.size + min(part * self.world * self.share, self.size), self.blocks)

    def index(self, place: int) -> int:
        """The micro-batch after `place` blocks; RecipeError where none begins there with this number of devices."""
        step, inside = divmod(place, self.size)
        part, rest = divmod(inside, self.world * self.share)
        if rest:
            raise RecipeError(
                f"The run stopped {inside} blocks into a step of {self.size}, where {self.world} devices with "
                f"{self.share} blocks each do not begin anew.",
                where="batch.micro",
                hint="Continue with the devices and the batch.micro of before, or from another checkpoint.",
            )
        return step * self.accumulation + part


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of range(count), int64 [count], the same on every machine and with every version of NumPy.

    It is the argsort of the raw words of a PCG64 stream: NumPy guarantees these to be stable, but not `permutation`.
    """
    words = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(count)
    order = np.argsort(words, kind="stable")
    order.setflags(write=False)
    return order
