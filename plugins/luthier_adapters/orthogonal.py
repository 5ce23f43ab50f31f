"""Orthogonal fine-tuning: weights are rotated, the norms of their rows and the angles between them stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from luthier.api import RecipeError
from luthier_adapters.targeted import TargetedAdaptation

if TYPE_CHECKING:
    from peft import BOFTConfig, OFTConfig


@dataclass(kw_only=True, eq=False)
class Oft(TargetedAdaptation):
    """Learn a block-diagonal orthogonal matrix that rotates the input of each weight (OFT, Qiu et al., 2023).

    Each block of `block` columns is the Cayley transform of a skew-symmetric matrix, by `terms` of a Neumann series
    (Qiu et al., 2025), or by an exact inverse where that is null.
    """

    block: int = 32
    terms: int | None = 5
    dropout: float = 0.0

    def peft_config(self, network: nn.Module) -> OFTConfig:
        from peft import OFTConfig

        settings = self.targeted(
            oft_block_size=self.block,
            use_cayley_neumann=self.terms is not None,
            num_cayley_neumann_terms=self.terms or 0,
            module_dropout=self.dropout,
        )
        return OFTConfig(**settings)


@dataclass(kw_only=True, eq=False)
class Boft(TargetedAdaptation):
    """Learn a product of `factors` sparse orthogonal matrices in a butterfly structure (BOFT, Liu et al., 2024).

    Blocks are `block` wide; with one factor it is OFT with small blocks. More factors need PEFT's CUDA kernel, which is
    compiled at first use; RecipeError where it cannot be.
    """

    block: int = 4
    factors: int = 1
    dropout: float = 0.0

    def peft_config(self, network: nn.Module) -> BOFTConfig:
        from peft import BOFTConfig
        from peft.tuners.boft.layer import get_fbd_cuda

        if self.factors > 1 and get_fbd_cuda() is None:  # type: ignore[no-untyped-call]
            raise RecipeError(
                "boft multiplies several factors by a CUDA kernel of PEFT's, which is not to be had here.",
                where="adaptation.factors",
                hint="Set adaptation.factors=1, or install CUDA's compiler and ninja.",
            )
        settings = self.targeted(
            boft_block_size=self.block, boft_n_butterfly_factor=self.factors, boft_dropout=self.dropout
        )
        return BOFTConfig(**settings)
