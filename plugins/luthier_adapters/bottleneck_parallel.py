"""Bottleneck adapters beside feed-forward."""

from __future__ import annotations

from typing import Literal

from luthier_adapters.bottleneck import Bottleneck


class Parallel(Bottleneck):
    """Freeze the network and learn small layers beside its feed-forward, which read what that reads (He et al., 2021).

    Each adds `scale` · W_up · f(W_down · x) to what the feed-forward makes of x (the scaled parallel adapter, table 3
    and section 4.6).
    """

    beside = True

    def __init__(
        self,
        *,
        reduction: float = 2.0,
        activation: Literal["relu", "gelu", "silu", "tanh"] = "relu",
        dropout: float = 0.0,
        scale: float = 4.0,
        attention: bool = False,
        feed_forward: bool = True,
    ) -> None:
        super().__init__(
            reduction=reduction, activation=activation, dropout=dropout, attention=attention, feed_forward=feed_forward
        )
        self.scale = scale
