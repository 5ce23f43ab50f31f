"""QLoRA whose factors start as the low-rank part of the quantization error (LoftQ)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from luthier.api import ADAPTER_NAME
from luthier_adapters.lora import ranks_within, widths
from luthier_adapters.quantized import Qlora, dequantized_weight

if TYPE_CHECKING:
    from peft import LoraConfig


@dataclass(frozen=True, slots=True)
class LowRankFactors:
    """A [rank, in] and B [out, rank] of a product B A, float32."""

    down: Tensor
    up: Tensor


@dataclass(kw_only=True, eq=False)
class Loftq(Qlora):
    """QLoRA whose B A starts as the best low-rank part of the quantization error W - Q (LoftQ, Li et al., 2024).

    One step of their algorithm 1, so that Q is W quantized as always: the artifact needs nothing beside the base, and
    plain PEFT loads it on the base quantized the same way. `iterations` of a randomised decomposition are fast and
    near; null decomposes exactly. A layer with fewer than `rank` rows or columns gets factors of that rank.
    """

    alpha: float = 16.0
    iterations: int | None = 16

    def peft_config(self, network: nn.Module) -> LoraConfig:
        config = super().peft_config(network)
        narrowest = {name: min(sizes) for name, sizes in widths(network).items()}
        config.rank_pattern = (config.rank_pattern or {}) | ranks_within(narrowest, self.rank)
        return config

    def adapted_in_four_bits(self, network: nn.Module) -> nn.Module:
        initial: dict[nn.Module, LowRankFactors] = {}

        def decompose(linear: nn.Linear, quantized: nn.Module) -> None:
            initial[quantized] = self.error_factors(linear, quantized)

        quantized = self.quantized(network, decompose)
        adapted = self.adapted(quantized, self.peft_config(network))
        for module in adapted.modules():
            factors = initial.pop(module.base_layer, None) if hasattr(module, "lora_A") else None  # type: ignore[arg-type]
            if factors is not None:
                layer = cast(Any, module)
                layer.lora_A[ADAPTER_NAME].weight.data.copy_(factors.down)
                layer.lora_B[ADAPTER_NAME].weight.data.copy_(factors.up / layer.scaling[ADAPTER_NAME])
        return adapted

    def error_factors(self, linear: nn.Linear, quantized: nn.Module) -> LowRankFactors:
        """The factors of the quantization error W - Q at `rank`, its singular values halved between both."""
        error = linear.weight.data.float() - dequantized_weight(quantized).float()
        rank = min(self.rank, *error.shape)
        if self.iterations is None:
            left, values, right = torch.linalg.svd(error, full_matrices=False)
        else:
            left, values, right_columns = torch.svd_lowrank(error, rank, self.iterations)
            right = right_columns.T
        root = values[:rank].sqrt()
        return LowRankFactors(down=root.unsqueeze(1) * right[:rank], up=left[:, :rank] * root)
