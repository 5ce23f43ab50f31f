"""The place in the data from which a training goes on, counted in the micro-batches of now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

if TYPE_CHECKING:
    from luthier.data.module import Data

COUNTED = ("ready", "started", "processed", "completed")


class ResumedPlace(pl.Callback):
    """Gives Lightning's counter of an epoch's micro-batches the value that it would have with the batches of now.

    It decides after which micro-batches an optimizer step is made and where the epoch ends; what it had reached counts
    micro-batches of before, while `batch.size`, `batch.micro` and the number of devices may be others now.
    """

    def __init__(self, data: Data) -> None:
        self.data = data

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        loops = checkpoint["loops"]["fit_loop"]
        progress = loops["epoch_loop.batch_progress"]
        epoch = int(loops["epoch_progress"]["current"]["processed"])
        done, of = self.data.micro_batches_done(loops["state_dict"]["combined_loader"][0], epoch)
        shift = done - progress["current"]["ready"]
        for tracker in (progress["total"], progress["current"]):
            tracker.update({name: tracker[name] + shift for name in COUNTED})
        progress["is_last_batch"] = done == of
