"""AdamW with its running means in eight bits, by bitsandbytes."""

from __future__ import annotations

from typing import Any, ClassVar

from luthier.errors import RecipeError
from luthier.fetch.extras import Needs, imported
from luthier.training.optimizers.groups import Named, Rate, one_rate, parameter_groups, trainable
from luthier.training.optimizers.schedules import Schedule, scheduled


class AdamW8bit:
    """AdamW that keeps its two running means in blocks of eight-bit numbers (Dettmers et al., 2022).

    It saves six bytes for each trained weight and runs on CUDA devices only; RecipeError elsewhere.
    """

    needs: ClassVar[Needs] = {"bitsandbytes": "luthier[gpu]"}

    def __init__(
        self,
        schedule: Schedule,
        *,
        lr: float = 2e-5,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.schedule, self.lr, self.weight_decay = schedule, lr, weight_decay
        self.betas, self.eps = (beta1, beta2), eps

    def __call__(self, named_parameters: Named, total_steps: int, rate: Rate = one_rate) -> dict[str, Any]:
        named = trainable(named_parameters)
        device = named[0][1].device.type
        if device != "cuda":
            raise RecipeError(
                f"optimizer=adamw_8bit runs on CUDA devices, but the weights are on {device}.",
                where="optimizer",
                hint="Choose optimizer=adamw, or trainer=gpu on a machine that has one.",
            )
        bnb = imported("bitsandbytes.optim", self.needs["bitsandbytes"], "optimizer=adamw_8bit", where="optimizer")
        groups = parameter_groups(named, self.lr, self.weight_decay, rate)
        optimizer = bnb.AdamW8bit(groups, lr=self.lr, betas=self.betas, eps=self.eps)
        return scheduled(optimizer, self.schedule, total_steps)
