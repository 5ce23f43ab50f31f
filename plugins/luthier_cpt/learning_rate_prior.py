"""Learning-rate prior: the peak learning rate that the base was trained with, or that is usual for its size."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from luthier.api import (
    ARTIFACT_RECIPE,
    EarlierRun,
    FullFineTuning,
    LuthierError,
    Trust,
    count_parameters,
    find_artifact,
    part,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

PUBLISHED = (
    (125e6, 6.0e-4), (350e6, 3.0e-4), (760e6, 2.5e-4), (1.3e9, 2.0e-4),
    (2.7e9, 1.6e-4), (6.7e9, 1.2e-4), (13e9, 1.0e-4), (175e9, 0.6e-4),
)  # fmt: skip
"""(Number of parameters, peak learning rate of pre-training) by Brown et al., 2020, table 2.1."""


def usual_peak(size: float) -> float | None:
    """The peak learning rate for `size` parameters, interpolated log-log between published ones; None outside them."""
    sizes = [published for published, _ in PUBLISHED]
    if not sizes[0] <= size <= sizes[-1]:
        return None
    at = max(bisect_left(sizes, size), 1)
    (small, high), (large, low) = PUBLISHED[at - 1], PUBLISHED[at]
    return high * math.pow(low / high, math.log(size / small) / math.log(large / small))


def learning_rate_note(config: DictConfig) -> Iterator[str]:
    """A line for the head of a run's log; none where nothing is known.

    The rate of an earlier run is that of its recipe. For any other base the usual rate of its size is given, if all
    weights are trained.
    """
    lr = config.optimizer.get("lr")
    if lr is None:
        return
    model, adaptation = (part(config, Trust(), name) for name in ("model", "adaptation"))
    if isinstance(model, EarlierRun):
        before = OmegaConf.load(find_artifact(model.path) / ARTIFACT_RECIPE)
        peak = OmegaConf.select(before, "optimizer.lr")
        if peak is not None:
            yield f"optimizer.lr={lr:g}; the run that this one starts from had a peak of {peak:g}."
        return
    if not isinstance(adaptation, FullFineTuning):
        return
    try:
        size = count_parameters(model, adaptation).total
    except LuthierError:
        return  # the run itself will raise it
    peak = usual_peak(size)
    if peak is not None:
        yield (
            f"optimizer.lr={lr:g}; networks of {size / 1e6:,.1f} M weights are pre-trained with a peak of about "
            f"{peak:.1g} (Brown et al., 2020). The nearer to it, the more is learned, and forgotten."
        )
