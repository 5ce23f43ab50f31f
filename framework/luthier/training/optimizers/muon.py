"""Muon for the matrices inside a network, AdamW for all else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from luthier.training.optimizers.groups import Named, Rate, by_mesh, by_rate, is_hidden_matrix, one_rate, trainable
from luthier.training.optimizers.schedules import Schedule, scheduled


class Muon:
    """Move each hidden matrix along its momentum made orthogonal by Newton-Schulz steps (Jordan et al., 2024).

    The step of a matrix is scaled by 0.2·√(larger side) (Liu et al., 2025), so that AdamW's learning rates serve here
    too; norms, biases, embeddings and the head are moved by AdamW at the same rate, without decay.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        lr: float = 2e-5,
        momentum: float = 0.95,
        ns_steps: int = 5,
        weight_decay: float = 0.01,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> None:
        self.schedule, self.lr, self.momentum, self.ns_steps = schedule, lr, momentum, ns_steps
        self.weight_decay, self.betas, self.eps = weight_decay, (beta1, beta2), eps

    def __call__(self, named_parameters: Named, total_steps: int, rate: Rate = one_rate) -> dict[str, Any]:
        named = trainable(named_parameters)
        matrices = self._groups([(name, weight) for name, weight in named if is_hidden_matrix(name, weight)], rate)
        rest = self._groups([(name, weight) for name, weight in named if not is_hidden_matrix(name, weight)], rate)
        optimizers: list[torch.optim.Optimizer] = []
        if matrices:
            scaled: dict[str, Any] = {"adjust_lr_fn": "match_rms_adamw", "momentum": self.momentum}
            scaled["ns_steps"] = self.ns_steps
            optimizers.append(torch.optim.Muon(matrices, lr=self.lr, weight_decay=self.weight_decay, **scaled))
        if rest:
            optimizers.append(
                torch.optim.AdamW(rest, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=0.0, fused=True)
            )
        return scheduled(Together(optimizers), self.schedule, total_steps)

    def _groups(self, named: list[tuple[str, torch.nn.Parameter]], rate: Rate) -> list[dict[str, Any]]:
        found = by_rate(named, self.lr, rate) if named else []
        return [
            {"params": weights, "lr": own}
            for own, together in found
            for weights in by_mesh(weight for _, weight in together)
        ]


class Together(torch.optim.Optimizer):
    """Several optimizers of different parameters that step, save and load as one."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let the parts work on our parameter groups and state, so that schedules and checkpoints reach them."""
        start = 0
        for optimizer in self.optimizers:
            end = start + len(optimizer.param_groups)
            optimizer.param_groups = self.param_groups[start:end]
            optimizer.state = self.state
            start = end

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss
