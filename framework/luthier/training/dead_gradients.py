"""Trained weights that no gradient reaches are named, with what keeps it from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from luthier.records.events import EventLog
from luthier.training import shards

STEPS = 20
WATCHED = 5
NAMED = 3


class DeadGradients(pl.Callback):
    """Looks, in the first steps of a process, for trained weights whose gradients stay zero for `STEPS` steps.

    A weight that had a gradient is not looked at again, so that it costs nothing from then on. In the last of these
    steps it is watched which modules are called, for the cause.
    """

    def __init__(self, events: EventLog, say: Callable[[str], None]) -> None:
        self.events, self.say = events, say
        self.still: dict[str, nn.Parameter] = {}
        self.seen, self.called = 0, set[str]()
        self._hooks: list[Any] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.still = {name: weight for name, weight in pl_module.named_parameters() if weight.requires_grad}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if not self.still:
            return
        self.seen += 1
        given = {name: weight.grad for name, weight in self.still.items() if weight.grad is not None}
        sums = shards.magnitudes(list(given.values())).tolist() if given else []
        for name, magnitude in zip(given, sums, strict=True):
            if magnitude != 0:
                del self.still[name]
        if self.seen == STEPS - WATCHED:
            self._watch(pl_module)
        if self.seen == STEPS:
            self._tell(trainer, pl_module)

    def _watch(self, module: nn.Module) -> None:
        owners = {name.rpartition(".")[0] for name in self.still}
        for name in owners:
            self._hooks.append(
                module.get_submodule(name).register_forward_hook(lambda *_, name=name: self.called.add(name))
            )

    def _tell(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        for hook in self._hooks:
            hook.remove()
        by_cause: dict[str, list[str]] = {}
        for name, weight in self.still.items():
            by_cause.setdefault(cause(module, name, weight, self.called), []).append(name)
        self.still, self._hooks = {}, []
        told: Any = module
        for why, names in by_cause.items() if trainer.is_global_zero else ():
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            sentence = (
                f"The gradients of {len(names)} trained weights were 0 for {STEPS} steps ({', '.join(names[:NAMED])}"
                f"{more}): {why}."
            )
            self.events.tell("dead_gradients", step=trainer.global_step + 1, weights=names, cause=why)
            told.warnings.append(sentence)
            self.say(f"warning: {sentence}")


def cause(module: nn.Module, name: str, weight: nn.Parameter, called: set[str]) -> str:
    """What keeps the gradient from a weight, as the rest of a sentence."""
    owner = name.rpartition(".")[0]
    if weight.grad is None and owner not in called:
        return "no batch passes through their modules"
    if weight.grad is None:
        return "their modules are called, but do not use them, or compute what is detached from the loss"
    frozen = [other for other in _partners(module, owner) if not other[1].requires_grad and shards.is_zero(other[1])]
    if frozen:
        return f"what they are multiplied with is 0 and frozen, such as {frozen[0][0]}"
    return "the loss does not depend on them: what follows them is 0 or saturated"


def _partners(module: nn.Module, owner: str) -> list[tuple[str, nn.Parameter]]:
    """The weights of the modules beside one, up to the layer that an adapter wraps."""
    for _ in range(3):
        owner = owner.rpartition(".")[0]
        found = [(f"{owner}.{name}", weight) for name, weight in module.get_submodule(owner).named_parameters()]
        if len(found) > 1:
            return found
    return []
