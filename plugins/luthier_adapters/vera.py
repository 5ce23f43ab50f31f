"""Vector-based random matrix adaptation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from luthier.api import PeftAdaptation

if TYPE_CHECKING:
    from peft import VeraConfig


class Vera(PeftAdaptation):
    """Learn two vectors for each weight around two random matrices that all layers share (VeRA, Kopiczko et al., 2024).

    The update is diag(b) B diag(d) A, with A and B drawn from `seed` and frozen, d starting at `start`, b at zero.
    The artifact holds A and B once, since another version of torch may draw others.
    """

    def __init__(
        self,
        *,
        rank: int = 256,
        dropout: float = 0.0,
        targets: str | list[str] = "all-linear",
        start: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.rank, self.dropout, self.targets = rank, dropout, targets
        self.start, self.seed = start, seed

    def peft_config(self, network: nn.Module) -> VeraConfig:
        from peft import VeraConfig

        return VeraConfig(
            task_type="CAUSAL_LM",
            r=self.rank,
            vera_dropout=self.dropout,
            target_modules=self.targets,
            d_initial=self.start,
            projection_prng_key=self.seed,
        )
