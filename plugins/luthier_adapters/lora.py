"""Low-rank adaptation (LoRA), the scale of its update and the learning rates of its factors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.api import RecipeError, adapt_experts, train_routers
from luthier_adapters.targeted import TargetedAdaptation

if TYPE_CHECKING:
    from peft import LoraConfig


@dataclass(kw_only=True, eq=False)
class LowRankAdaptation(TargetedAdaptation):
    """The settings that every variant of LoRA has, and the PEFT configuration that they make.

    `rank` and `alpha` are r and α of Hu et al., 2021; the update is multiplied by alpha / rank, or with `rslora` by
    alpha / sqrt(rank) (Kalajdzievski, 2023). `dropout` is that of the update's input while training.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    rslora: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise RecipeError(f"lora needs a rank of at least 1, not {self.rank}.", where="adaptation.rank")

    def peft_config(self, network: nn.Module) -> LoraConfig:
        return self.lora_config()

    def lora_config(self, **changed: Any) -> LoraConfig:
        """The configuration that PEFT takes, with what a subclass adds to it or changes."""
        from peft import LoraConfig

        settings = self.targeted(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, use_rslora=self.rslora)
        return LoraConfig(**{**settings, **changed})


def widths(network: nn.Module) -> dict[str, tuple[int, int]]:
    """The inputs and outputs of each linear layer of a network, by name; those of GPT-2 hold them the other way."""
    from transformers.pytorch_utils import Conv1D

    return {
        name: (module.nx, module.nf) if isinstance(module, Conv1D) else (module.in_features, module.out_features)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }


def ranks_within(widest: Mapping[str, int], rank: int) -> dict[str, int]:
    """PEFT's `rank_pattern` for the layers that have room for `widest` directions, and for fewer than `rank`."""
    return {re.escape(name): most for name, most in widest.items() if most < rank}


@dataclass(kw_only=True, eq=False)
class Lora(LowRankAdaptation):
    """Freeze the network and learn W + alpha / rank · B A beside each chosen weight W (Hu et al., 2021, equation 3).

    A starts random and B at zero, so that the adapted network starts as the original one. `rslora` scales by
    alpha / sqrt(rank) (Kalajdzievski, 2023), `dora` learns magnitude and direction apart (Liu et al., 2024).

    `experts` adapts the experts of a mixture too where they are fused in one tensor, which is no linear layer; each
    expert gets an update of this rank. `routers` trains the routers, whole and beside the adapter.
    """

    dora: bool = False
    experts: bool = False
    routers: bool = False

    def lora_config(self, **changed: Any) -> LoraConfig:
        return super().lora_config(use_dora=self.dora, **changed)

    def peft_config(self, network: nn.Module) -> LoraConfig:
        config = super().peft_config(network)
        if self.experts:
            adapt_experts(config, network)
        if self.routers:
            train_routers(config, network)
        return config


@dataclass(kw_only=True, eq=False)
class LoraPlus(Lora):
    """LoRA whose B learns at `ratio` times the learning rate of its A (LoRA+, Hayou et al., 2024).

    `optimizer.lr` is that of A; the paper advises a ratio of 2 to 16.
    """

    resumable = ("ratio",)

    ratio: float = 16.0

    def rate(self, name: str) -> float:
        return self.ratio if ".lora_B." in name or ".lora_embedding_B." in name else 1.0
