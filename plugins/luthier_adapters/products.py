"""Updates that are products of small matrices of other kinds: Hadamard and Kronecker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from luthier.api import PeftAdaptation

if TYPE_CHECKING:
    from peft import LoHaConfig, LoKrConfig


class LoHa(PeftAdaptation):
    """Learn (B₁ A₁) ⊙ (B₂ A₂) beside each weight, of rank up to rank² (FedPara, Hyeon-Woo et al., 2022).

    `rank_dropout` leaves out rows of the update and `module_dropout` whole updates, while training.
    """

    def __init__(
        self,
        *,
        rank: int = 8,
        alpha: float = 16.0,
        rank_dropout: float = 0.0,
        module_dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
    ) -> None:
        self.rank, self.alpha, self.targets = rank, alpha, targets
        self.rank_dropout, self.module_dropout = rank_dropout, module_dropout

    def peft_config(self, network: nn.Module) -> LoHaConfig:
        from peft import LoHaConfig

        return LoHaConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            alpha=self.alpha,  # type: ignore[arg-type]
            rank_dropout=self.rank_dropout,
            module_dropout=self.module_dropout,
            target_modules=self.targets,
        )


class LoKr(PeftAdaptation):
    """Learn C ⊗ (B A) beside each weight (KronA, Edalati et al., 2022; LoKr, Yeh et al., 2023).

    `factor` is the side of C, -1 the one nearest to a square split; `both` makes C low-rank, too.
    """

    def __init__(
        self,
        *,
        rank: int = 16,
        alpha: float = 32.0,
        factor: int = -1,
        both: bool = False,
        rank_dropout: float = 0.0,
        module_dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
    ) -> None:
        self.rank, self.alpha, self.factor, self.both, self.targets = rank, alpha, factor, both, targets
        self.rank_dropout, self.module_dropout = rank_dropout, module_dropout

    def peft_config(self, network: nn.Module) -> LoKrConfig:
        from peft import LoKrConfig

        return LoKrConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            alpha=self.alpha,  # type: ignore[arg-type]
            decompose_factor=self.factor,
            decompose_both=self.both,
            rank_dropout=self.rank_dropout,
            module_dropout=self.module_dropout,
            target_modules=self.targets,
        )
