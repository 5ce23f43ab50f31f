"""A real training of a tiny network in a process of its own, with all that keeps a run safe, and faults to order."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from luthier.contracts.batch import Batch
from luthier.contracts.training import Loss
from luthier.errors import LuthierError
from luthier.records.events import EventLog
from luthier.records.folder import RunFolder
from luthier.training.best_checkpoint import BestCheckpoint
from luthier.training.callbacks import reliable
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.resume import remove_leftovers, starting_point
from luthier.training.signals import Signals
from luthier.training.stopping import EarlyStopping, Never
from luthier.training.validation import Validating, Validation
from luthier.training.validation_times import ValidationTimes

WORDS, LENGTH, ROWS = 16, 8, 22


@dataclass
class Order:
    """What a child process shall do; `fault` is (hook, micro-batch counted from 0, act)."""

    folder: Path
    resume: str | None = None
    every: int = 3
    keep: int = 2
    epochs: int = 2
    accumulate: int = 2
    validate: bool = True
    frozen: bool = False
    fault: tuple[str, int, str] | None = None
    lr: float = 1e-2
    every_seconds: float | None = None
    every_steps: int | None = None
    patience: int | None = None
    divergence: float | None = None
    keep_best: bool = False
    hang_after: float | None = None
    trainer: dict[str, Any] = field(default_factory=dict)

    @property
    def validating(self) -> Validating:
        """Validates after each epoch unless it says otherwise."""
        rows_of_step = 2 * self.accumulate
        each = -(-ROWS // rows_of_step)
        wants = self.patience is not None or self.divergence is not None
        stop = EarlyStopping(patience=self.patience, divergence=self.divergence) if wants else Never()
        times = ValidationTimes(self.every_steps, None, self.every_seconds)
        return Validating(times, self.epochs * each, each, stop, self.keep_best, held_out=self.validate)


class Loader:
    """Micro-batches of two rows; the order is a function of seed and epoch, the state is two integers."""

    def __init__(self, slow: float = 0.0) -> None:
        self.epoch = self.position = 0
        self.slow = slow

    def __len__(self) -> int:
        return ROWS // 2

    def __iter__(self) -> Iterator[Batch]:
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        order = np.random.default_rng([7, self.epoch]).permutation(ROWS)
        for index in range(self.position, len(self)):
            self.position = index + 1
            time.sleep(self.slow)
            yield rows(order[2 * index : 2 * index + 2])

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]


class HeldOut:
    """The same micro-batches, every time from the first."""

    def __len__(self) -> int:
        return ROWS // 2

    def __iter__(self) -> Iterator[Batch]:
        return iter(Loader())


def rows(numbers: Any) -> Batch:
    ids = torch.stack([(torch.arange(LENGTH) * int(number + 1)) % WORDS for number in numbers])
    ones = torch.ones_like(ids)
    return Batch(
        ids,
        ones.float(),
        torch.arange(LENGTH).expand_as(ids),
        ones.int(),
        (0, LENGTH, 2 * LENGTH),
        tuple(map(int, numbers)),
    )


class Net(pl.LightningModule):
    mixture = None  # it has no experts

    def __init__(self, order: Order) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order = order
        self.words = nn.Embedding(WORDS, 12)
        self.middle = nn.Sequential(nn.Linear(12, 12), nn.Dropout(0.2), nn.Tanh())
        self.head = nn.Linear(12, WORDS, bias=False)
        self.words.weight.requires_grad_(not order.frozen)
        self.step_loss = self.gradient_norm = torch.zeros(())
        self.poison = ""

    def forward(self, batch: Batch) -> torch.Tensor:
        hidden = self.middle(self.words(batch.input_ids[:, :-1]))
        return nn.functional.cross_entropy(self.head(hidden).flatten(0, 1), batch.input_ids[:, 1:].flatten())

    def loss(self, batch: Batch) -> Loss:
        return Loss(self(batch), torch.ones(()), {})

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        loss = self(batch)
        if self.poison == "loss":
            loss = loss * float("nan")
        if self.poison == "gradient":
            self.head.weight.register_hook(lambda gradient: gradient * float("inf"))
        if self.poison == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.step_loss = loss.detach()
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.gradient_norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters() if p.grad is not None])

    def validation_step(self, batch: Batch, index: int) -> None:
        torch.rand(3)
        self.log("validation_loss", self(batch), batch_size=2)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=self.order.lr)
        return [optimizer], [
            {"scheduler": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20), "interval": "step"}
        ]


class Faults(pl.Callback):
    """Acts once, in a hook of a micro-batch: kills or signals this very process, or poisons the network."""

    def __init__(self, order: Order) -> None:
        self.hook, self.batch, self.act = order.fault or ("", 0, "")
        self.seen = 0

    def _at(self, hook: str, module: Net) -> None:
        if hook != self.hook or self.seen != self.batch:
            return
        if self.act in ("loss", "gradient", "memory"):
            module.poison = self.act
        elif self.act == "twice":
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            os.kill(os.getpid(), getattr(signal, self.act))

    def on_train_batch_start(self, trainer: Any, module: Net, batch: Any, index: int) -> None:
        self._at("batch_start", module)

    def on_before_optimizer_step(self, trainer: Any, module: Net, optimizer: Any) -> None:
        self._at("before_step", module)

    def on_train_batch_end(self, trainer: Any, module: Net, outputs: Any, batch: Any, index: int) -> None:
        self._at("batch_end", module)
        self.seen += 1

    def on_validation_batch_start(self, trainer: Any, module: Net, batch: Any, index: int, _: int = 0) -> None:
        self._at("validation", module)


def train(order: Order) -> Net:
    folder, signals = RunFolder(order.folder), Signals()
    folder.create()
    with signals:
        events = EventLog(folder.events)
        remove_leftovers(folder.path, events)
        start = starting_point(folder.checkpoints, order.resume, events)
        callbacks = reliable(
            folder, signals, order.validating, every=order.every, keep=order.keep, hang_after=order.hang_after
        )
        validation = next(one for one in callbacks if isinstance(one, Validation))
        best = BestCheckpoint(folder.checkpoints, validation, [])
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=order.epochs, accumulate_grad_batches=order.accumulate,
            callbacks=[best, *callbacks, Faults(order)], plugins=[SealedCheckpoints()], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            num_sanity_val_steps=0, use_distributed_sampler=False,
            limit_val_batches=2, default_root_dir=order.folder,
            **{"devices": 1, **order.trainer},
        )  # fmt: skip
        net = Net(order)
        torch.manual_seed(3)
        slow = 0.5 if order.fault and order.fault[0] == "waiting" else 0.0
        trainer.fit(net, Loader(slow), HeldOut() if order.validate else None, ckpt_path=str(start) if start else None)
    if trainer.is_global_zero:
        (order.folder / "stopped").write_text(validation.stopped)
        (order.folder / "weights").write_text(weights(net))
        (order.folder / "optimizer").write_text(repr(trainer.optimizers[0].state_dict()["param_groups"]))
    return net


def weights(net: nn.Module) -> str:
    sha = hashlib.sha256()
    for name, value in net.state_dict().items():
        sha.update(name.encode() + value.numpy().tobytes())
    return sha.hexdigest()


def child(order: Order) -> None:
    """What a child process does; ends as the command line does, with the code of what went wrong."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with open(order.folder.parent / f"{order.folder.name}.err", "a") as stream:
        os.dup2(stream.fileno(), 2)
        try:
            train(order)
        except LuthierError as error:
            (order.folder / "error.json").write_text(json.dumps(error.as_json()))
            raise SystemExit(error.code) from error


def start(order: Order) -> Any:
    order.folder.mkdir(parents=True, exist_ok=True)
    from tests.warm import WARM, warm_up  # not at the top: each rank of rank_training.py imports this module alone

    warm_up()
    process = WARM.Process(target=child, args=(order,))
    process.start()
    return process


def finish(order: Order) -> int:
    """Train in a child process; gives its exit code, negative for the signal that killed it."""
    process = start(order)
    process.join(120)
    assert process.exitcode is not None, "the child hangs"
    return process.exitcode
