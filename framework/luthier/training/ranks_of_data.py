"""How many ranks have data of their own: the others compute the same batch with another part of the network."""

from __future__ import annotations

import pytorch_lightning as pl


def ranks_of_data(trainer: pl.Trainer) -> int:
    """The ranks over which a batch is spread: all of them, but for those that split layers with another one."""
    return trainer.world_size // tensor_ranks(trainer)


def tensor_ranks(trainer: pl.Trainer) -> int:
    """How many ranks, side by side in their order, split each layer and see the same data; 1 where none do."""
    return int(getattr(trainer.strategy, "tensor_ranks", 1))
