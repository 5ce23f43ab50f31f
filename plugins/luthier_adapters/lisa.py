"""Layerwise importance sampled AdamW."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
from torch import nn

from luthier.api import FullFineTuning, RecipeError, decoder_layers


class Lisa(FullFineTuning):
    """Move a few random layers for a while, then others; embeddings and head move always (LISA, Pan et al., 2024).

    Of all layers `layers` are awake at a time, drawn anew every `every` optimizer steps from `seed` and the step alone,
    so that a resumed run draws the same. A layer that falls asleep loses its optimizer state, which saves that memory.
    """

    def __init__(self, *, layers: int = 2, every: int = 20, seed: int = 0) -> None:
        if layers < 1 or every < 1:
            raise RecipeError("layers and every are at least 1.", where="adaptation")
        self.layers, self.every, self.seed = layers, every, seed

    def callbacks(self) -> list[Any]:
        return [Watches(self.layers, self.every, self.seed)]


class Watches(pl.Callback):
    """Wakes layers and lets them sleep between two optimizer steps."""

    def __init__(self, layers: int, every: int, seed: int) -> None:
        self.layers, self.every, self.seed = layers, every, seed
        self._watch: int | None = None

    def awake(self, count: int, step: int) -> set[int]:
        """The numbers of the layers, of `count`, that move in optimizer step `step`, from 0."""
        luck = np.random.default_rng([self.seed, step // self.every])
        return set(luck.choice(count, min(self.layers, count), replace=False).tolist())

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step // self.every == self._watch:
            return
        self._watch = trainer.global_step // self.every
        layers = _layers(pl_module)
        awake = self.awake(len(layers), trainer.global_step)
        for number, layer in enumerate(layers):
            layer.requires_grad_(number in awake)
            for weight in () if number in awake else layer.parameters():
                weight.grad = None
                for optimizer in trainer.optimizers:
                    optimizer.state.pop(weight, None)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for layer in _layers(pl_module):
            layer.requires_grad_(True)


def _layers(module: pl.LightningModule) -> list[nn.Module]:
    return decoder_layers(cast(Any, module).network)
