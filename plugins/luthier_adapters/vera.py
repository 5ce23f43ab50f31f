"""Vector-based random matrix adaptation (VeRA)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from luthier_adapters.targeted import TargetedAdaptation

if TYPE_CHECKING:
    from peft import VeraConfig


@dataclass(kw_only=True, eq=False)
class Vera(TargetedAdaptation):
    """Learn two vectors for each weight around two random matrices that all layers share (VeRA, Kopiczko et al., 2024).

    The update is diag(b) B diag(d) A, with A and B drawn from `seed` and frozen, d starting at `start`, b at zero.
    The artifact holds A and B once, since another version of torch may draw others.
    """

    rank: int = 256
    dropout: float = 0.0
    start: float = 0.1
    seed: int = 0

    def peft_config(self, network: nn.Module) -> VeraConfig:
        from peft import VeraConfig

        settings = self.targeted(
            r=self.rank, vera_dropout=self.dropout, d_initial=self.start, projection_prng_key=self.seed
        )
        return VeraConfig(**settings)
