"""Batches that a method makes something of before it trains on them, such as answers to their prompts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch

from luthier.contracts.batch import Batch
from luthier.contracts.training import Preparation
from luthier.data.collate import collate
from luthier.data.loader import Batches, belonging, refuse_others


class Prepared:
    """The micro-batches of a rank, an optimizer step at a time: `preparation` sees all of a step's before the first.

    What it makes of them is dealt out once for each of its `visits`, one optimizer step each; where it makes fewer,
    empty ones fill the step. A checkpoint between two visits holds what was made, so that a run on one device goes on
    with that; on several devices it is made again, with the weights of then.
    """

    def __init__(self, batches: Batches, preparation: Preparation) -> None:
        self.batches, self.preparation = batches, preparation
        self.epoch = self.step = self.visit = 0
        self._made: list[Batch] = []

    def __len__(self) -> int:
        """Micro-batches of an epoch."""
        order = self.batches.order
        return order.steps * order.accumulation * self.preparation.visits

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch
        while self.epoch == epoch and len(self):
            made = self._made = self._made or self._of_step()
            yield from made[:-1]
            self._move_on()
            yield made[-1]

    def _of_step(self) -> list[Batch]:
        order = self.batches.order
        first = self.step * order.accumulation
        last = min(first + order.accumulation, order.micro_batches)
        found = [self.batches.batch(self.epoch, index) for index in range(first, last)]
        made = self.preparation(found, self.epoch * order.steps + self.step)
        made += [collate([[]], pad=self.batches.pad) for _ in range(order.accumulation - len(made))]
        return [batch.pin_memory() for batch in made] if torch.cuda.is_available() else made

    def _move_on(self) -> None:
        self.visit += 1
        if self.visit == self.preparation.visits:
            self.step, self.visit, self._made = self.step + 1, 0, []
        if self.step == self.batches.order.steps:
            self.epoch, self.step = self.epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        order = self.batches.order
        alone = self.visit and order.world == 1
        return {
            "epoch": self.epoch,
            "place": order.place(self.step * order.accumulation),
            "visit": self.visit,
            "made": [_plain(batch) for batch in self._made] if alone else [],
            "preparation": self.preparation.state_dict(),
            **belonging(self.batches),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved place; RecipeError if it belongs to other data, another batch size or another seed."""
        refuse_others(state, self.batches)
        order = self.batches.order
        self.epoch, self.visit = int(state["epoch"]), int(state["visit"])
        self.step = order.index(int(state["place"])) // order.accumulation
        self._made = [
            Batch(**{_FIELDS.get(name, name): value for name, value in each.items()}) for each in state["made"]
        ]
        self.preparation.load_state_dict(state["preparation"])


_FIELDS = {"beside": "extras", "branches": "prefix_of", "rows": "sequence_groups"}
"""Names that checkpoints of version 0.1 have for fields of a batch."""


def _plain(batch: Batch) -> dict[str, Any]:
    return {field.name: getattr(batch, field.name) for field in fields(batch)}
