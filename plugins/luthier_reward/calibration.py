"""Whether a model is right as often as it is sure: the expected calibration error (Naeini et al., 2015)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from luthier.api import Floats

BINS = 10
"""Of equal width, from 0 to 1."""


def binned(confidence: Tensor, right: Tensor) -> Tensor:
    """For each judgement and each bin: whether it falls there, with which confidence, and whether it is right.

    [n] and [n] to [n, 3 · BINS].
    """
    bins = one_hot((confidence * BINS).long().clamp(0, BINS - 1), BINS).to(confidence.dtype)
    return torch.cat([bins, bins * confidence.unsqueeze(1), bins * right.unsqueeze(1)], 1)


def calibration_error(totals: Floats) -> Floats:
    """Σ over bins of |right - confidence| / n, [..., 3 · BINS] to [...]."""
    counts, confidence, right = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, BINS), -2, 0)
    found: Floats = np.abs(right - confidence).sum(-1) / np.maximum(counts.sum(-1), 1)
    return found
