"""One bottleneck adapter a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier_adapters.bottleneck import Bottleneck


@dataclass(kw_only=True, eq=False)
class Pfeiffer(Bottleneck):
    """Freeze the network and learn one bottleneck adapter behind each feed-forward, half as many as `bottleneck` has.

    Pfeiffer et al., 2020, found this placement to lose next to nothing.
    """

    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    attention: bool = False
