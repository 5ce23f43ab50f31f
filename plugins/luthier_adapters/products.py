"""Updates that are Hadamard or Kronecker products of small matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from luthier_adapters.targeted import TargetedAdaptation

if TYPE_CHECKING:
    from peft import LoHaConfig, LoKrConfig


@dataclass(kw_only=True, eq=False)
class MatrixProduct(TargetedAdaptation):
    """The settings that LoHa and LoKr share.

    `rank_dropout` leaves out rows of the update and `module_dropout` whole updates, while training.
    """

    rank: int = 8
    alpha: float = 16.0
    rank_dropout: float = 0.0
    module_dropout: float = 0.0

    def targeted(self, **settings: Any) -> dict[str, Any]:
        dropouts = {"rank_dropout": self.rank_dropout, "module_dropout": self.module_dropout}
        return super().targeted(r=self.rank, alpha=self.alpha, **dropouts, **settings)


@dataclass(kw_only=True, eq=False)
class LoHa(MatrixProduct):
    """Learn (B₁ A₁) ⊙ (B₂ A₂) beside each weight, of rank up to rank² (FedPara, Hyeon-Woo et al., 2022).

    `rank_dropout` leaves out rows of the update and `module_dropout` whole updates, while training.
    """

    def peft_config(self, network: nn.Module) -> LoHaConfig:
        from peft import LoHaConfig

        return LoHaConfig(**self.targeted())


@dataclass(kw_only=True, eq=False)
class LoKr(MatrixProduct):
    """Learn C ⊗ (B A) beside each weight (KronA, Edalati et al., 2022; LoKr, Yeh et al., 2023).

    `factor` is the number of rows and columns of C, -1 the one nearest to a square split; `both` makes C low-rank, too.
    """

    rank: int = 16
    alpha: float = 32.0
    factor: int = -1
    both: bool = False

    def peft_config(self, network: nn.Module) -> LoKrConfig:
        from peft import LoKrConfig

        return LoKrConfig(**self.targeted(decompose_factor=self.factor, decompose_both=self.both))
