"""The optimizer step after a checkpoint, computed without Lightning and without what resumes a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from luthier.testing.adaptation import adapt
from luthier.testing.twin import twin
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.workflows.run import Run

COMMON = (
    "debug=tiny", "stages=[fit]", "trainer.epochs=4", "trainer.max_steps=6", "data.limit=14", "batch.packing=false",
    "trainer.checkpoint_every=1", "trainer.keep=0", "batch.size=2", "optimizer.lr=0.01", "optimizer.eps=0.001",
)  # fmt: skip
AT = 3
"""The optimizer step of the checkpoint that runs go on from, in the middle of the first epoch."""


def carried_out(folder: Path, *words: str) -> Run:
    run = twin(folder, *COMMON, *words)
    run.carry_out()
    return run


def checkpoint(folder: Path, step: int) -> Path:
    return folder / "checkpoints" / f"step-{step:08d}"


def weights(folder: Path, step: int) -> dict[str, Tensor]:
    state: dict[str, Tensor] = SealedCheckpoints().load_checkpoint(checkpoint(folder, step))["state_dict"]
    return state


def by_hand(start: Path, folder: Path, *words: str) -> tuple[dict[str, Tensor], list[float]]:
    """The weights after one step of a fresh run with what the checkpoint's had learned, and the rate of each group."""
    saved = SealedCheckpoints().load_checkpoint(start)
    run = twin(folder, *COMMON, *words)
    network, method = adapt(run), run.method
    network.train()
    method.load_state_dict(saved["state_dict"], strict=False)
    position = saved["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]
    order = run.data._order(1)
    done = position["epoch"] * order.steps + position["place"] // order.size
    total = saved["global_step"] + run.parts.trainer.epochs * order.steps - done
    total = min(total, run.parts.trainer.max_steps or total)
    optimizer = _optimizer(run, saved, total)
    first = position["place"] // order.size * order.accumulation
    batches = [
        run.data.train_dataloader().batches.batch(position["epoch"], first + one) for one in range(order.accumulation)
    ]
    weight = 0.0
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=run.parts.trainer.autocast is not None):
            loss = method.loss(batch)
        loss.sum.backward()
        weight += float(loss.weight)
    moving = [one for one in method.parameters() if one.grad is not None]
    for one in moving:
        one.grad /= weight
    if run.parts.trainer.clip:
        torch.nn.utils.clip_grad_norm_(moving, run.parts.trainer.clip)
    optimizer.step()
    state: dict[str, Tensor] = method.state_dict()
    return {name: state[name].clone() for name in saved["state_dict"]}, [one["lr"] for one in optimizer.param_groups]


def _optimizer(run: Run, saved: dict[str, Any], total: int) -> torch.optim.Optimizer:
    method, answer = run.method, run.method.optimizer
    named = list(method.trainable_weights())
    full = {weight: name for name, weight in method.named_parameters()}
    optimizer: torch.optim.Optimizer = answer(named, total, method.rate)["optimizer"]
    gathered = dict(zip(saved["luthier_optimized"][0], saved["optimizer_states"][0]["state"].values(), strict=True))
    for group in optimizer.param_groups:
        (rate,) = {method.rate(full[weight].removeprefix("network.")) for weight in group["params"]}
        group["lr"] = answer.lr * rate * answer.schedule(int(saved["global_step"]), total)
        for weight in group["params"]:
            optimizer.state[weight] = {key: value.clone() for key, value in gathered[full[weight]].items()}
    return optimizer
