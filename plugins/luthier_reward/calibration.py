"""The expected calibration error: confidence against accuracy, in bins (Naeini et al., 2015)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from luthier.api import Floats

BINS = 10
"""Bins of equal width over confidences from 0 to 1."""


def binned(confidence: Tensor, correct: Tensor) -> Tensor:
    """The statistics of each prediction in each bin: its count, its confidence, and whether it is correct.

    float [n] and [n] (1 or 0) to [n, 3 · BINS].
    """
    bins = one_hot((confidence * BINS).long().clamp(0, BINS - 1), BINS).to(confidence.dtype)
    return torch.cat([bins, bins * confidence.unsqueeze(1), bins * correct.unsqueeze(1)], 1)


def calibration_error(totals: Floats) -> Floats:
    """Σ over bins of |correct - confidence| / n, from sums of `binned` [..., 3 · BINS] to [...]."""
    counts, confidence, correct = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, BINS), -2, 0)
    error: Floats = np.abs(correct - confidence).sum(-1) / np.maximum(counts.sum(-1), 1)
    return error
