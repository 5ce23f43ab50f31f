"""QLoRA that starts by making up for what four bits lose."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import nn

from luthier.api import ADAPTER_NAME
from luthier_adapters.quantized import Qlora, weights_of


class Loftq(Qlora):
    """QLoRA whose B A starts as the best low-rank part of the quantization error W - Q (LoftQ, Li et al., 2024).

    One step of their algorithm 1, so that Q is W quantized as always: the artifact needs nothing beside the base, and
    plain PEFT loads it on the base quantized the same way. `iterations` of a randomised decomposition are fast and
    near; null decomposes exactly.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 16.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        kind: Literal["nf4", "fp4"] = "nf4",
        double: bool = True,
        compute: Literal["bfloat16", "float32"] = "bfloat16",
        iterations: int | None = 16,
    ) -> None:
        super().__init__(
            rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora,
            kind=kind, double=double, compute=compute,
        )  # fmt: skip
        self.iterations = iterations

    def __call__(self, network: nn.Module) -> nn.Module:
        adapted = super().__call__(network)
        for module in adapted.modules():
            start = vars(getattr(module, "base_layer", module)).pop("lost", None)
            if start is not None and hasattr(module, "lora_A"):
                down, up = start
                layer = cast(Any, module)
                layer.lora_A[ADAPTER_NAME].weight.data.copy_(down)
                layer.lora_B[ADAPTER_NAME].weight.data.copy_(up / layer.scaling[ADAPTER_NAME])
        return adapted

    def four_bits(self, linear: nn.Linear) -> nn.Module:
        made: Any = super().four_bits(linear)
        lost = linear.weight.data.float() - weights_of(made).float()
        if self.iterations is None:
            left, values, right = torch.linalg.svd(lost, full_matrices=False)
        else:
            left, values, right_columns = torch.svd_lowrank(lost, self.rank, self.iterations)
            right = right_columns.T
        root = values[: self.rank].sqrt()
        made.lost = root.unsqueeze(1) * right[: self.rank], left[:, : self.rank] * root
        return cast(nn.Module, made)
