"""A plugin for the benchmark: `luthier -p luthier_clock …` times its own steps into $BENCHMARK_OUT."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from stopwatch import Stopwatch

from luthier import hookimpl


@hookimpl
def luthier_callbacks(config: Any) -> Iterable[Any]:
    from pytorch_lightning import Callback, LightningModule, Trainer

    class Clock(Callback):
        tokens, watch = 0, Stopwatch()

        def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
            self.watch.start()

        def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
            self.tokens += batch.tokens
            if trainer.global_step > len(self.watch.laps):
                self.watch.lap(self.tokens, float(module.step_loss))
                self.tokens = 0

        def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
            self.watch.write(os.environ["BENCHMARK_OUT"])

    return [Clock()]
