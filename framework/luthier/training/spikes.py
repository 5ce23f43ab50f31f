"""Losses far above those before them are told, or kept from the weights; too many of them end the run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch

from luthier.errors import NumericsError
from luthier.records.events import EventLog
from luthier.training import checkpoint_files, shards
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.optimizer_state import NAMES, names, take_over

WINDOW = 128
"""The steps that a loss is compared with, and among which spikes are counted."""
SIGMAS = 6.0
MOST = 50
"""So many spikes in a window end the run: the loss has changed for good."""
SMALLEST = 1e-3
"""The least that sigma is taken to be, as a share of the mean: a constant loss has none."""

Policy = Literal["flag", "skip", "rollback"]


@dataclass(frozen=True, slots=True)
class Spike:
    """A loss beyond six standard deviations of those of the window before it."""

    loss: float
    mean: float
    sigma: float


class LossWindow:
    """The losses of the last steps that were no spikes, and which steps were; says of a loss whether it is one."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.spiked: deque[bool] = deque(maxlen=WINDOW)
        self.count = 0

    def add(self, loss: float) -> Spike | None:
        """Before there are as many losses as the window has, none is a spike."""
        spike = self._spike(loss)
        self.spiked.append(spike is not None)
        if spike is not None:
            self.count += 1
        elif math.isfinite(loss):
            self.losses.append(loss)
        return spike

    def _spike(self, loss: float) -> Spike | None:
        if len(self.losses) < WINDOW:
            return None
        mean = math.fsum(self.losses) / WINDOW
        sigma = math.sqrt(math.fsum((one - mean) ** 2 for one in self.losses) / WINDOW)
        sigma = max(sigma, SMALLEST * abs(mean))
        return Spike(loss, mean, sigma) if loss > mean + SIGMAS * sigma else None

    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self.losses), "spiked": list(self.spiked), "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses, self.spiked = deque(state["losses"], maxlen=WINDOW), deque(state["spiked"], maxlen=WINDOW)
        self.count = state["count"]


class Spikes(pl.Callback):
    """Looks at the mean loss of each optimizer step before its update, the same on all ranks.

    With the policy `skip` a spike loses its gradients, so that the optimizer moves nothing; with `rollback` the weights
    and what the optimizer has gathered become those of the newest of `checkpoints`, too, and the training goes on with
    the next data. NumericsError for the `MOST`th spike in a window, before its update. `say` tells a person.
    """

    def __init__(
        self, events: EventLog, say: Callable[[str], None], checkpoints: Path, policy: Policy = "flag"
    ) -> None:
        self.events, self.say, self.checkpoints, self.policy = events, say, checkpoints, policy
        self.window = LossWindow()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        module.before_update = lambda loss: self.look(trainer, pl_module, loss)

    def look(self, trainer: pl.Trainer, module: pl.LightningModule, loss: float) -> None:
        spike = self.window.add(loss)
        if spike is None:
            return
        step, skips = trainer.global_step + 1, self.policy != "flag"
        back = checkpoint_files.newest(self.checkpoints) if self.policy == "rollback" else None
        to = None if back is None else checkpoint_files.step_of(back)
        if trainer.is_global_zero:
            self.events.tell(
                "spike", step=step, loss=spike.loss, mean=spike.mean, sigma=spike.sigma, skipped=skips, back_to=to
            )  # fmt: skip
            did = f"; it is skipped{'' if to is None else f', and the weights are those of step {to} again'}"
            self.say(f"warning: step {step}: {_words(spike)}{did if skips else ''}")
        if sum(self.window.spiked) >= MOST:
            raise NumericsError(
                f"The losses of {MOST} of the last {len(self.window.spiked)} steps were beyond {SIGMAS:g} standard "
                f"deviations of the {WINDOW} before them; in step {step} {_words(spike)}.",
                where=f"step {step}",
                hint="events.jsonl has the steps; go on from a checkpoint before them with a lower optimizer.lr.",
                resumable=True,
            )
        if skips:
            for weight in module.parameters():
                weight.grad = None
        if back is not None:
            _roll_back(trainer, module, back)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module: Any = pl_module
        module.before_update = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if count := self.window.count:
            did = "were skipped" if self.policy != "flag" else "were trained on all the same (trainer.spikes=skip)"
            module: Any = pl_module
            module.warnings.append(
                f"{count} steps had a loss beyond {SIGMAS:g} standard deviations of the {WINDOW} before, and {did}; "
                "events.jsonl has them."
            )

    def state_dict(self) -> dict[str, Any]:
        return self.window.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.window.load_state_dict(state_dict)


@torch.no_grad()
def _roll_back(trainer: pl.Trainer, module: pl.LightningModule, to: Path) -> None:
    """Give the weights and the optimizers back what they were in a checkpoint; rates, schedule and data go on."""
    saved = SealedCheckpoints().load_checkpoint(to)
    here = module.state_dict()
    for name, value in shards.spread(saved["state_dict"], here).items():
        here[name].copy_(value)
    for number, optimizer in enumerate(trainer.optimizers):
        take_over(optimizer, saved["optimizer_states"][number]["state"], saved[NAMES][number], names(optimizer, module))


def _words(spike: Spike) -> str:
    return (
        f"the loss is {spike.loss:.4g}, {(spike.loss - spike.mean) / spike.sigma:.0f} standard deviations above the "
        f"{spike.mean:.4g} of the last {WINDOW} steps"
    )
