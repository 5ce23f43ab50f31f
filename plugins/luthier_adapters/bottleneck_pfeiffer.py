"""One bottleneck adapter a layer."""

from __future__ import annotations

from typing import Literal

from luthier_adapters.bottleneck import Bottleneck


class Pfeiffer(Bottleneck):
    """Freeze the network and learn a small layer behind each feed-forward, half as many as `bottleneck` has.

    Pfeiffer et al., 2020, found this placement to lose next to nothing.
    """

    def __init__(
        self,
        *,
        reduction: float = 16.0,
        activation: Literal["relu", "gelu", "silu", "tanh"] = "relu",
        dropout: float = 0.0,
        attention: bool = False,
        feed_forward: bool = True,
    ) -> None:
        super().__init__(
            reduction=reduction, activation=activation, dropout=dropout, attention=attention, feed_forward=feed_forward
        )
