"""The place in the data that a checkpoint holds: the data that it belongs to, and where the batches of now go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.data.order import Order
from luthier.errors import RecipeError
from luthier.errors.pasting import setting_to_paste

ANEW = "or begin again with resume=never"


@dataclass(frozen=True, slots=True)
class SavedPlace:
    """So many blocks of an epoch have been trained on, in steps of `size`; of a prepared step, `visit` optimizer steps.

    An epoch that is over is the beginning of the next one.
    """

    epoch: int
    place: int
    size: int
    visit: int = 0

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> SavedPlace:
        """That of a loader's state."""
        return cls(int(state["epoch"]), int(state["place"]), int(state["batch.size"]), int(state.get("visit", 0)))

    def steps(self, order: Order, visits: int) -> int:
        """The optimizer steps of its epoch that are done, in steps of `order`; RecipeError where none begins here.

        Of batches of another size, a step begins after each multiple of it: no block is lost, and none comes twice.
        """
        if self.size != order.size and (self.place % order.size or self.visit):
            sizes = [size for size in range(1, self.place + 1) if self.place % size == 0 and size >= order.world]
            others = "" if self.visit else f", to another divisor of {self.place} ({', '.join(map(str, sizes[-8:]))})"
            raise RecipeError(
                f"batch.size was {self.size}, is {order.size}: the checkpoint stands {self.place} blocks or examples "
                f"into an epoch, where no step of {order.size} begins.",
                where="batch.size",
                hint=f"Set {setting_to_paste('batch.size', self.size)} again{others}, {ANEW}.",
            )
        return self.place // order.size * visits + self.visit

    def steps_left(self, order: Order, visits: int, epochs: int) -> int:
        """The optimizer steps from here to the end of so many epochs; less than 0 where it lies behind that."""
        return (epochs - self.epoch) * order.steps * visits - self.steps(order, visits)


@dataclass(frozen=True, slots=True)
class ResumedSteps:
    """Where a training goes on, in optimizer steps."""

    before: int
    """Those that batches as they are now would have had up to here."""
    left: int
    """Those from here on; less than 0 where the last epoch lies behind."""


def data_identity(data: str, order: Order) -> dict[str, Any]:
    """The digest of the data, the batch size and the seed that a saved position belongs to, for the checkpoint."""
    return {
        "data": data,
        "blocks": order.blocks,
        "batch.size": order.size,
        "seed": order.seed,
    }


def check_data_identity(state: Mapping[str, Any], data: str, order: Order) -> None:
    """RecipeError where a saved position is one of other data or another seed, or where no step of now begins there."""
    now = data_identity(data, order)
    if state["seed"] != now["seed"]:
        raise RecipeError(
            f"seed was {state['seed']}, is {now['seed']}: it gives the order of the data.",
            where="seed",
            hint=f"Set {setting_to_paste('seed', state['seed'])} again, {ANEW}.",
        )
    if (state["data"], state["blocks"]) != (now["data"], now["blocks"]):
        raise RecipeError(
            "The training data is other data than that of the checkpoint: "
            f"{state['blocks']} blocks or examples with the digest {state['data'][:12]} then, "
            f"{now['blocks']} with {now['data'][:12]} now.",
            where="data",
            hint=f"Put the data and the settings of data, prompt and batch back, {ANEW}.",
        )
    SavedPlace.of(state).steps(order, 1)
