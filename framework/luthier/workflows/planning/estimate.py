"""Steps, memory, time and disk of a recipe, in arithmetic. Estimates: right within a factor of two or so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.data.packing import best_fit

if TYPE_CHECKING:
    from luthier.models.trainable_parameters import ParameterCounts

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "auto": 4}
"""Bytes of one weight by the name of its dtype."""
STATES = 2  # numbers that Adam keeps for each trained weight, in float32; others keep fewer
RUNTIME = 450_000_000  # Python, torch and transformers themselves


@dataclass(frozen=True, slots=True)
class Work:
    """What a recipe asks for: rows of one forward, tokens of a row, rows of a step; in which bytes it computes.

    Each batch is trained on in `visits` steps.
    """

    micro: int
    length: int
    size: int
    packing: bool
    epochs: int
    max_steps: int | None
    computes_in: int
    stored_in: int
    checkpointing: bool
    visits: int = 1


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """Optimizer steps, and the tokens that they see."""

    count: int
    tokens: float


def steps(work: Work, lengths: Sequence[int]) -> StepEstimate:
    """How many optimizer steps examples of so many tokens make, packed as the data module packs them."""
    fitting = _fitting(work, lengths)
    an_epoch = steps_of_epoch(work, lengths)
    count = min(an_epoch * work.epochs, work.max_steps or an_epoch * work.epochs)
    return StepEstimate(count, float(fitting.sum()) * work.visits / an_epoch * count)


def steps_of_epoch(work: Work, lengths: Sequence[int]) -> int:
    """The optimizer steps of one epoch."""
    fitting = _fitting(work, lengths)
    blocks = len(best_fit(fitting, work.length)) if work.packing else len(fitting)
    return max(1, math.ceil(blocks / work.size)) * work.visits


def _fitting(work: Work, lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.clip(np.array(lengths, dtype=np.int64), 1, work.length)


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


def of_a_shard(
    whole: dict[str, int], weights: ParameterCounts, work: Work, devices: int, *, gathered: float = 1.0
) -> dict[str, int]:
    """The same on each of `devices` that share weights, gradients and optimizer states, and gather blocks to compute.

    Gathered at a time are the embeddings and two blocks, of which one is fetched ahead; of them a device computes with
    the part `gathered`, 0 where nothing is gathered.
    """
    shared = {name: size // devices for name, size in whole.items() if name in ("weights", "gradients", "optimizer")}
    embeddings = weights.vocabulary * weights.width
    block = (weights.total - embeddings) // max(1, weights.layers)
    fetched = round(gathered * (embeddings + 2 * block) * work.stored_in)
    return whole | shared | ({"gathered": fetched} if fetched else {})


def disk(weights: ParameterCounts, checkpoints: int) -> dict[str, int]:
    """Bytes of so many checkpoints and of the artifact."""
    checkpoint = weights.trained * 4 * (1 + STATES)
    return {"checkpoints": checkpoint * checkpoints, "artifact": weights.trained * 4}


def checkpoints_at_once(steps: int, *, every: int, keep: int, extra: int, best: bool) -> int:
    """The most checkpoints that are on the disk at a time: one more than are kept while it is written, and the best.

    One is saved every `every` steps (0: never) and at the end, and `extra` ones at validations, at other steps or not.
    """
    written = (-(-steps // every) if every else 1) + extra
    return min(written, keep + 1 + best) if keep else written


def seconds(weights: ParameterCounts, tokens: float, *, flops: float) -> float:
    """Of training: for each weight and token 2 operations forwards, 2 for what flows back, 2 more where it trains.

    Of experts those weights that a token passes through.
    """
    computed = weights.total - weights.other_modalities - weights.idle
    return tokens * (4 * computed + 2 * (weights.trained - weights.idle_trained)) / flops
