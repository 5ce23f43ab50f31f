"""The weights of the best checkpoint, put back when the training is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from luthier.errors import ResourceError
from luthier.training import checkpoint_files, shards
from luthier.training.checkpoint_io import load_model_state
from luthier.training.validation import Validation


class BestCheckpoint(pl.Callback):
    """Has the best checkpoint at hand all the time, and loads its weights where the last one is another.

    It is the first of the callbacks: `adapting`, those of the adaptation, act on the network when the training is over,
    by the state that they had at the best step. ResourceError where the run goes on and its best checkpoint is damaged.
    """

    def __init__(self, folder: Path, validation: Validation, adapting: Sequence[pl.Callback]) -> None:
        self.folder, self.validation, self.adapting = folder, validation, adapting

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        start, best = trainer.ckpt_path, self.validation.best
        if start is None or not self.validation.how.keep_best:
            return
        needed = {Path(start)} if self.validation.is_due else set()
        if best is not None:
            needed.add(Path(start).with_name(checkpoint_files.folder_name(best.step)))
        if trainer.is_global_zero:
            for path in sorted(needed):
                self._have(path)
        trainer.strategy.barrier("the best checkpoint")

    def _have(self, path: Path) -> None:
        try:
            checkpoint_files.bring(path, self.folder)
        except (checkpoint_files.Invalid, OSError) as error:
            raise ResourceError(
                f"{path.name} is the best checkpoint so far, and it is not intact: {error}.",
                where=str(path),
                hint="Put it back from a copy, go on from an earlier checkpoint, or set trainer.keep_best=false.",
            ) from error

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        best = self.validation.best
        if best is None or best.step == trainer.global_step:
            return
        checkpoint = load_model_state(self.folder / checkpoint_files.folder_name(best.step))
        pl_module.on_load_checkpoint(checkpoint)
        unknown = pl_module.load_state_dict(
            shards.spread(checkpoint["state_dict"], pl_module.state_dict()), strict=False
        ).unexpected_keys
        assert not unknown, unknown
        for callback in self.adapting:
            callback.load_state_dict(checkpoint["callbacks"].get(callback.state_key, {}))
