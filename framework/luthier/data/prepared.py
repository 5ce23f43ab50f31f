"""Prepared batches: a method's preparation, such as rollouts, is applied to the batches of each optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch

from luthier.contracts.batch import Batch
from luthier.contracts.training import Preparation
from luthier.data.loader import Batches
from luthier.data.saved_place import check_data_identity, data_identity


class PreparedLoader:
    """The prepared micro-batches of a rank: `preparation` is called with all those of an optimizer step at once.

    The prepared batches are yielded `preparation.visits` times, an optimizer step each time; where there are fewer than
    the step has micro-batches, fillers complete it. A checkpoint between two visits stores the prepared batches, with
    which a run on one device continues; on several devices, and where `batch.micro` has changed, they are prepared
    again, with the weights at that time.
    """

    def __init__(self, batches: Batches, preparation: Preparation) -> None:
        self.batches, self.preparation = batches, preparation
        self.epoch = self.step = self.visit = 0
        self._prepared: list[Batch] = []

    def __len__(self) -> int:
        """Micro-batches of an epoch."""
        order = self.batches.order
        return order.steps * order.accumulation * self.preparation.visits

    @property
    def done(self) -> int:
        """Micro-batches of the epoch that lie before the step that comes next."""
        return (self.step * self.preparation.visits + self.visit) * self.batches.order.accumulation

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        while self.epoch == epoch and len(self):
            prepared = self._prepared = self._prepared or self._prepare_step()
            yield from prepared[:-1]
            self._advance()
            yield prepared[-1]

    def _prepare_step(self) -> list[Batch]:
        order = self.batches.order
        first = self.step * order.accumulation
        last = min(first + order.accumulation, order.micro_batches)
        batches = [self.batches.batch(self.epoch, index) for index in range(first, last)]
        prepared = self.preparation(batches, self.epoch * order.steps + self.step)
        prepared += [self.batches.filler for _ in range(order.accumulation - len(prepared))]
        return [batch.pin_memory() for batch in prepared] if torch.cuda.is_available() else prepared

    def _advance(self) -> None:
        self.visit += 1
        if self.visit == self.preparation.visits:
            self.step, self.visit, self._prepared = self.step + 1, 0, []
        if self.step == self.batches.order.steps:
            self.epoch, self.step = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        order = self.batches.order
        alone = self.visit and order.world == 1
        return {
            "epoch": self.epoch,
            "place": order.place(self.step * order.accumulation),
            "visit": self.visit,
            "made": [_as_dict(batch) for batch in self._prepared] if alone else [],
            "preparation": self.preparation.state_dict(),
            **data_identity(self.batches.blocks.digest, self.batches.order),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a saved position; RecipeError where it is none of this data, seed and batch size."""
        check_data_identity(state, self.batches.blocks.digest, self.batches.order)
        order = self.batches.order
        self.epoch, self.visit = int(state["epoch"]), int(state.get("visit", 0))
        self.step = order.index(int(state["place"])) // order.accumulation
        self._prepared = [
            Batch(**{_FIELDS.get(name, name): value for name, value in each.items()}) for each in state.get("made", ())
        ]
        if len(self._prepared) != order.accumulation:
            self._prepared = []
        self.preparation.load_state_dict(state.get("preparation", {}))


_FIELDS = {"beside": "extras", "branches": "prefix_of", "rows": "sequence_groups"}
"""Names that checkpoints of version 0.1 have for fields of a batch."""


def _as_dict(batch: Batch) -> dict[str, Any]:
    return {field.name: getattr(batch, field.name) for field in fields(batch)}
