"""Bottleneck adapters parallel to feed-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier_adapters.bottleneck import Bottleneck


@dataclass(kw_only=True, eq=False)
class Parallel(Bottleneck):
    """Freeze the network and learn bottleneck adapters parallel to its feed-forward (He et al., 2021).

    Each adds `scale` · W_up · f(W_down · x) to the output of the feed-forward for its input x (the scaled parallel
    adapter, table 3 and section 4.6).
    """

    parallel = True

    reduction: float = 2.0
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    attention: bool = False
    scale: float = 4.0
