"""Low-rank adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from luthier.adaptation import PeftAdaptation
from luthier.errors import RecipeError

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
        from peft import LoraConfig

        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=self.dropout,
            target_modules=self.targets,
            use_rslora=self.rslora,
            use_dora=self.dora,
        )
