"""The data loaders: micro-batches as a pure function of epoch and index."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset

from luthier.contracts.batch import WHOLE, Batch
from luthier.data.blocks import Blocks
from luthier.data.collate import collate
from luthier.data.order import Order
from luthier.data.saved_place import check_data_identity, data_identity
from luthier.errors import ResourceError

log = logging.getLogger("luthier")


@dataclass(frozen=True, slots=True)
class Batches:
    """The micro-batches of one rank: `batch(epoch, index)` is a pure function.

    With `length` every batch has the shape [order.share, length], with filler blocks where a step has fewer; without it
    a batch is as long as its longest row. `workers` processes prefetch batches, which do not depend on their number.
    """

    blocks: Blocks
    order: Order
    rank: int = 0
    length: int | None = None
    pad: int = 0
    workers: int = 0

    def batch(self, epoch: int, index: int) -> Batch:
        """The micro-batch number `index` of an epoch."""
        numbers = self.order.blocks_of(epoch, index, self.rank).tolist()
        missing = (self.order.share if self.length else 1) - len(numbers)
        examples = [example for number in numbers for example in self.blocks.examples(number)]
        turns = [turn for number in numbers for turn in self.blocks.turns(number)]
        blocks = [self.blocks.rows(number) for number in numbers] + [[]] * max(0, missing)
        return collate(
            blocks,
            self.length,
            pad=self.pad,
            examples=examples,
            turns=turns if any(turn != WHOLE for turn in turns) else (),
            names=self.blocks.value_names,
        )

    @property
    def filler(self) -> Batch:
        """A micro-batch without rows."""
        return collate([[]], pad=self.pad, names=self.blocks.value_names)

    def of(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch from number `start` on.

        A worker process that dies is replaced once; ResourceError when a second one dies.
        """
        if self.workers == 0:
            for index in range(start, self.order.micro_batches):
                batch = self.batch(epoch, index)
                yield batch.pin_memory() if torch.cuda.is_available() else batch
            return
        for again in (True, False):
            try:
                for batch in self._by_workers(epoch, start):
                    yield batch
                    start += 1
                return
            except RuntimeError as error:
                if not str(error).startswith("DataLoader worker"):
                    raise
                place = f"micro-batch {start} of epoch {epoch} (from block {self.order.place(start)} of its order)"
                lost = f"A data worker died while making {place}: {error}"
                if not again:
                    raise ResourceError(
                        lost, hint="Set batch.workers=0, or find what kills it.", resumable=True
                    ) from error
                log.warning("%s It is replaced once.", lost)

    def _by_workers(self, epoch: int, start: int) -> Iterator[Batch]:
        loader = DataLoader(
            _Epoch(self, epoch),
            batch_size=None,
            sampler=range(start, self.order.micro_batches),
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # the default generator is that of dropout, whose state must not change
        )
        return cast("Iterator[Batch]", iter(loader))


class TrainingLoader:
    """The training batches, epoch after epoch; Lightning saves and restores its position.

    The position advances with each batch that is yielded, also past the end of an epoch; a further `iter` continues
    there. It is saved in blocks, so that a run can be resumed on another number of devices.
    """

    def __init__(self, batches: Batches) -> None:
        self.batches, self.epoch, self.index = batches, 0, 0

    def __len__(self) -> int:
        """Micro-batches of an epoch."""
        return self.batches.order.micro_batches

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches.of(self.epoch, self.index):
            self.index += 1
            if self.index == len(self):
                self.epoch, self.index = self.epoch + 1, 0
            yield batch

    @property
    def done(self) -> int:
        """Micro-batches of its epoch that have been yielded."""
        return self.index

    def state_dict(self) -> dict[str, Any]:
        place = self.batches.order.place(self.index)
        return {"epoch": self.epoch, "place": place, **data_identity(self.batches.blocks.digest, self.batches.order)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved position; RecipeError where it is none of this data, seed and batch size."""
        check_data_identity(state, self.batches.blocks.digest, self.batches.order)
        self.epoch, self.index = int(state["epoch"]), self.batches.order.index(int(state["place"]))


class HeldOutLoader:
    """The batches of a held-out split; each `iter` starts at the first."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return self.batches.order.micro_batches

    def __iter__(self) -> Iterator[Batch]:
        return self.batches.of(0)


@dataclass(frozen=True, slots=True)
class _Epoch(Dataset[Batch]):
    batches: Batches
    epoch: int

    def __getitem__(self, index: int) -> Batch:
        return self.batches.batch(self.epoch, index)
