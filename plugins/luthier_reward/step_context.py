"""What the preparation of an optimizer step needs of the run that trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from luthier.api import Batch, Data, Model


@dataclass(frozen=True, slots=True)
class StepContext:
    """The state of a run at the beginning of an optimizer step of the data.

    `model` is the source of `network`, and `adapted` says whether the weights may differ from it. `data` holds the
    examples and the seed of the random generators, `rank` the number of this device, `optimizer_step` the number of the
    coming optimizer step, from 1. `sum_over_ranks` adds a tensor up over all devices. `warnings` are those of the
    report; a preparation may append to them.
    """

    network: nn.Module
    model: Model
    adapted: bool
    data: Data
    rank: int
    optimizer_step: int
    sum_over_ranks: Callable[[Tensor], Tensor]
    token_scores: Callable[[Batch], dict[str, Tensor]]
    """Per-token scores of a batch before training on it, by name, float32 [B, T], without gradients."""
    log_samples: Callable[[list[dict[str, Any]], int], None]
    """Rows of a table of sampled answers and the number of the step, for rollouts.jsonl and the trackers."""
    warnings: list[str]
