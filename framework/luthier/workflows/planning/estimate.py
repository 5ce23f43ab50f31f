"""Steps, memory, time and disk of a recipe, in arithmetic. Estimates: right within a factor of two or so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from luthier.data.packing import best_fit

if TYPE_CHECKING:
    from luthier.models.trainable_parameters import ParameterCounts

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 4}
"""Bytes of one weight by the name of its dtype."""
STATES = 2  # numbers that Adam keeps for each trained weight, in float32; others keep fewer
RUNTIME = 450_000_000  # Python, torch and transformers themselves


@dataclass(frozen=True, slots=True)
class Work:
    """What a recipe asks for: rows of one forward, tokens of a row, rows of a step; in which bytes it computes."""

    micro: int
    length: int
    size: int
    packing: bool
    epochs: int
    max_steps: int | None
    computes_in: int
    stored_in: int
    checkpointing: bool
    keep: int


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """Optimizer steps, and the tokens that they see."""

    count: int
    tokens: float


def steps(work: Work, lengths: Sequence[int]) -> StepEstimate:
    """How many optimizer steps examples of so many tokens make, packed as the data module packs them."""
    fitting = np.clip(np.array(lengths, dtype=np.int64), 1, work.length)
    blocks = len(best_fit(fitting, work.length)) if work.packing else len(fitting)
    an_epoch = max(1, math.ceil(blocks / work.size))
    count = min(an_epoch * work.epochs, work.max_steps or an_epoch * work.epochs)
    return StepEstimate(count, float(fitting.sum()) / an_epoch * count)


def memory(weights: ParameterCounts, work: Work) -> dict[str, int]:
    """Bytes of the weights, their gradients, the optimizer's state and what is kept for the backward pass.

    Activations after Korthikanti et al. (2022), equation 1, without attention scores, which are never whole here.
    Where nothing is trained, those of one layer at a time.
    """
    tokens = work.micro * work.length
    layer = tokens * (16 * weights.width + 4 * weights.inner) * work.computes_in
    if not weights.trained:
        activations = layer
    elif work.checkpointing:
        activations = weights.layers * tokens * weights.width * work.computes_in + layer
    else:
        activations = weights.layers * layer
    computed = weights.total - weights.other_modalities
    copies = computed * work.computes_in if work.computes_in < work.stored_in else 0  # autocast casts weights
    return {
        "weights": weights.total * work.stored_in,
        "copies": copies,
        "gradients": weights.trained * 4,
        "optimizer": weights.trained * 4 * STATES,
        "activations": activations + 2 * min(tokens, 1024) * weights.vocabulary * 4,
        "runtime": RUNTIME,
    }


def disk(weights: ParameterCounts, work: Work) -> dict[str, int]:
    """Bytes of the checkpoints that are kept (one more while it is written) and of the artifact."""
    checkpoint = weights.trained * 4 * (1 + STATES)
    return {"checkpoints": checkpoint * (work.keep + 1), "artifact": weights.trained * 4}


def seconds(weights: ParameterCounts, tokens: float, *, flops: float) -> float:
    """Of training: for each weight and token 2 operations forwards, 2 for what flows back, 2 more where it trains."""
    computed = weights.total - weights.other_modalities
    return tokens * (4 * computed + 2 * weights.trained) / flops
