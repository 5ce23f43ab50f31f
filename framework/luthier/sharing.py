"""Batches whose sequences share their beginning: which networks can compute it once, and what happens with others."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from luthier import attention
from luthier.data.collate import collate
from luthier.head import bare
from luthier.parts import Batch, Row, Sequence


def cannot_share(network: nn.Module) -> str:
    """Why a network cannot compute a shared beginning once, in words; empty where it can."""
    inner: Any = bare(network)
    config = inner.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if strange := kinds - attention.KNOWN_LAYERS:
        return f"its {', '.join(sorted(strange))} layers carry a state from token to token"
    if "position_ids" not in inspect.signature(inner.forward).parameters:
        return f"{type(inner).__name__} takes no positions"
    if getattr(getattr(network, "active_peft_config", None), "is_prompt_learning", False):
        return "the adaptation puts virtual tokens before each sequence"
    if config._attn_implementation == attention.NAME:
        return ""
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"{config._attn_implementation} attention takes no mask of its own"
    if getattr(config, "sliding_window", None) and (not kinds or "sliding_attention" in kinds):
        return f"{config._attn_implementation} attention makes the masks of its windows by itself"
    return ""


def apart(batch: Batch) -> Batch:
    """The same sequences, each with its own copy of what it shares and in a row of its own; waits for the device.

    `examples`, `values` and the order of the sequences stay as they are.
    """
    ids, weights = (t.flatten().cpu().numpy() for t in (batch.input_ids, batch.weights))

    def tokens(number: int) -> slice:
        return slice(batch.boundaries[number], batch.boundaries[number + 1])

    rows = []
    for number in batch.ends:
        parts = [tokens(batch.branches[number])] if number in batch.branches else []
        parts.append(tokens(number))
        whole = [np.concatenate([array[part] for part in parts]) for array in (ids, weights)]
        rows.append([Row((Sequence(whole[0].astype(np.int32), whole[1]),))])
    laid = collate(rows or [[]]).to(batch.input_ids.device)
    laid.examples, laid.values = batch.examples, batch.values
    return laid


def sums(values: Tensor, batch: Batch) -> Tensor:
    """The sum of per-token values [B, T] over each sequence of the batch's rows, [len(batch.ends)]."""
    lengths = [stop - start for start, stop in zip(batch.boundaries, batch.boundaries[1:], strict=False)]
    parts = values.flatten().split(lengths)
    return torch.stack([parts[number].sum() for number in batch.ends]) if batch.ends else values.new_zeros(0)
