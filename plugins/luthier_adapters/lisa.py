"""Layerwise importance sampled AdamW (LISA)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
from torch import nn

from luthier.api import FullFineTuning, RecipeError, decoder_layers, freeze_routers


class Lisa(FullFineTuning):
    """Train a few random layers at a time; embeddings and LM head are always trained (LISA, Pan et al., 2024).

    `layers` layers are trained at a time, sampled every `every` optimizer steps from `seed` and the step alone, so that
    a resumed run samples the same. A layer that is frozen again loses its optimizer state, which saves that memory.
    The routers of mixtures of experts are frozen, unless `routers`.
    """

    def __init__(self, *, layers: int = 2, every: int = 20, seed: int = 0, routers: bool = False) -> None:
        super().__init__(routers=routers)
        if layers < 1 or every < 1:
            raise RecipeError("layers and every are at least 1.", where="adaptation")
        self.layers, self.every, self.seed = layers, every, seed

    def callbacks(self) -> list[Any]:
        return [LayerSampling(self.layers, self.every, self.seed, routers=self.routers)]


class LayerSampling(pl.Callback):
    """Unfreezes the sampled layers and freezes all others, between two optimizer steps; routers only if `routers`."""

    def __init__(self, layers: int, every: int, seed: int, *, routers: bool = False) -> None:
        self.layers, self.every, self.seed, self.routers = layers, every, seed, routers
        self._interval: int | None = None

    def sampled(self, count: int, step: int) -> set[int]:
        """The indices of the layers, of `count`, that are trained in optimizer step `step`, from 0."""
        generator = np.random.default_rng([self.seed, step // self.every])
        return set(generator.choice(count, min(self.layers, count), replace=False).tolist())

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step // self.every == self._interval:
            return
        self._interval = trainer.global_step // self.every
        layers = decoder_layers(_network(pl_module))
        sampled = self.sampled(len(layers), trainer.global_step)
        for index, layer in enumerate(layers):
            layer.requires_grad_(index in sampled)
            for weight in () if index in sampled else layer.parameters():
                weight.grad = None
                for optimizer in trainer.optimizers:
                    optimizer.state.pop(weight, None)
        self._keep_routers(pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for layer in decoder_layers(_network(pl_module)):
            layer.requires_grad_(True)
        self._keep_routers(pl_module)

    def _keep_routers(self, module: pl.LightningModule) -> None:
        freeze_routers(_network(module), unless=self.routers)


def _network(module: pl.LightningModule) -> nn.Module:
    return cast(nn.Module, cast(Any, module).network)
