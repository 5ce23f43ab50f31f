"""Low-rank adaptation, and how far its update counts and moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from luthier.api import PeftAdaptation, RecipeError

if TYPE_CHECKING:
    from peft import LoraConfig


class Lora(PeftAdaptation):
    """Freeze the network and learn W + alpha / rank · B A beside each chosen weight W (Hu et al., 2021, equation 3).

    A starts random and B at zero, so that the adapted network starts as the original one. `rslora` scales by
    alpha / sqrt(rank) (Kalajdzievski, 2023), `dora` learns magnitude and direction apart (Liu et al., 2024).
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        dora: bool = False,
    ) -> None:
        if rank < 1:
            raise RecipeError(f"lora needs a rank of at least 1, not {rank}.", where="adaptation.rank")
        self.rank, self.alpha, self.dropout, self.targets = rank, alpha, dropout, targets
        self.rslora, self.dora = rslora, dora

    def peft_config(self, network: nn.Module) -> LoraConfig:
        return self.lora_config()

    def lora_config(self, **changed: Any) -> LoraConfig:
        """PEFT's word for the settings, with what a subclass adds to them."""
        from peft import LoraConfig

        settings: dict[str, Any] = {
            "task_type": "CAUSAL_LM",
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": self.targets,
            "use_rslora": self.rslora,
            "use_dora": self.dora,
        }
        return LoraConfig(**{**settings, **changed})


class LoraPlus(Lora):
    """LoRA whose B moves `ratio` times as fast as its A (Hayou et al., 2024).

    `optimizer.lr` is that of A; the paper advises a ratio of 2 to 16.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        rslora: bool = False,
        dora: bool = False,
        ratio: float = 16.0,
    ) -> None:
        super().__init__(rank=rank, alpha=alpha, dropout=dropout, targets=targets, rslora=rslora, dora=dora)
        self.ratio = ratio

    def rate(self, name: str) -> float:
        return self.ratio if ".lora_B." in name or ".lora_embedding_B." in name else 1.0
