"""A plugin that writes what each rank holds before its last update: bytes of memory, and weights that are whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import luthier


@luthier.hookimpl
def luthier_callbacks(config):
    import pytorch_lightning as pl
    import torch

    from luthier.training import shards

    def storage(tensor):
        """The memory that was allocated for it, other tensors in it included."""
        return shards.own(tensor).untyped_storage()

    class Parts(pl.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            if trainer.global_step + 1 < module.steps:
                return
            weights = list(module.parameters())
            held = {
                "weights": weights,
                "gradients": [weight.grad for weight in weights if weight.grad is not None],
                "optimizer": [
                    value for state in optimizer.state.values() for value in state.values() if value.ndim > 0
                ],
            }
            memory = {
                name: sum({one.data_ptr(): one.nbytes() for one in map(storage, tensors)}.values())
                for name, tensors in held.items()
            }
            whole = hashlib.sha256()
            for weight in weights:
                if shards.mesh_of(weight) is None and weight.requires_grad:
                    whole.update(weight.detach().view(torch.uint8).numpy().tobytes())
            said = {"memory": memory, "whole": whole.hexdigest(), "split": sum(map(bool, map(shards.mesh_of, weights)))}
            file = Path(trainer.default_root_dir) / f"parts-{trainer.global_rank}.json"
            file.write_text(json.dumps(said), encoding="utf-8")

    return [Parts()]
