"""The load of experts over a whole training: kept in checkpoints, and reported at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from luthier.training.mixture import Mixture, variation

if TYPE_CHECKING:
    from luthier.training.method import Method


class ExpertLoads(pl.Callback):
    """Keeps the tokens that each expert was given in checkpoints, and states them as facts of the method at the end."""

    def __init__(self) -> None:
        self._loads: list[Tensor] = []
        self._mixture: Mixture | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mixture = getattr(pl_module, "mixture", None)
        if self._mixture is None:
            return
        if [load.shape for load in self._loads] == [load.shape for load in self._mixture.loads]:
            self._mixture.loads = [load.double() for load in self._loads]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._mixture is not None:
            method, loads = cast("Method", pl_module), self._mixture.by_layer
            method.expert_loads = {name: load.tolist() for name, load in loads.items()}
            method.facts["Expert load"] = summary(loads)

    def state_dict(self) -> dict[str, Any]:
        return {"loads": [load.clone() for load in self._mixture.loads] if self._mixture is not None else []}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loads = list(state_dict["loads"])


def summary(loads: dict[str, Tensor]) -> str:
    """How evenly tokens were spread over the experts of all layers, in one line."""
    counted = {name: load for name, load in loads.items() if load.sum() > 0}
    if not counted:
        return "not counted: the calls of this network do not say which of its tokens are padding"
    spread = {name: float(variation(load)) for name, load in counted.items()}
    busiest = {name: float(load.max() / load.sum()) for name, load in counted.items()}
    top, uneven = max(busiest, key=busiest.__getitem__), max(spread, key=spread.__getitem__)
    idle, experts = sum(int((load == 0).sum()) for load in counted.values()), sum(map(len, counted.values()))
    mean = torch.tensor(list(spread.values())).mean()
    return (
        f"coefficient of variation {mean:.2f} on average, {spread[uneven]:.2f} in {uneven}; the busiest expert has "
        f"{100 * busiest[top]:.0f} % of the tokens of {top}; {idle} of {experts} experts had none"
    )
