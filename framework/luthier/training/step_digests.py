"""digests.jsonl: what each optimizer step was given, so that a run can be compared with one that repeats it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from luthier.training.metrics_log import MetricsLog
from luthier.training.random_state import State, capture


class StepDigests(pl.Callback):
    """Writes a line for each step on the first rank: digests of its `examples`, of its `batches` and of the random
    `generators` after it.

    `taken` gives the digests of the batches since it was asked last; `tell` is a listener of the heartbeat.
    """

    def __init__(self, file: Path, taken: Callable[[], dict[str, str]]) -> None:
        self.lines, self.taken = MetricsLog(file), taken

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.taken()
        if trainer.is_global_zero:
            self.lines.start_after(trainer.global_step)

    def tell(self, record: dict[str, Any]) -> None:
        self.lines.write({"step": record["step"], **self.taken(), "generators": digest_of(capture())})

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.lines.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.lines.close()


def digest_of(state: State) -> str:
    """That of the random generators of a process."""
    found = hashlib.blake2b(repr(state["python"]).encode(), digest_size=8)
    name, words, *rest = state["numpy"]
    found.update(repr((name, rest)).encode() + words.tobytes())
    for generator in (state["torch"], state["cuda"]):
        found.update(b"" if generator is None else generator.numpy().tobytes())
    return found.hexdigest()
