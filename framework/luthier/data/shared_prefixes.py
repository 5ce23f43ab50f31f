"""Batches with shared prefixes: the networks that support them, their removal for others, and per-sequence sums."""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data.collate import collate
from luthier.models import attention
from luthier.models.lm_head import unwrapped

log = logging.getLogger("luthier")


def why_prefixes_unsupported(network: nn.Module) -> str:
    """The reason why a network cannot compute a shared prefix once, as part of a sentence; empty where it can."""
    inner: Any = unwrapped(network)
    config = inner.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if unknown := kinds - attention.KNOWN_LAYERS:
        return f"its {', '.join(sorted(unknown))} layers carry a state from token to token"
    if "position_ids" not in inspect.signature(inner.forward).parameters:
        return f"{type(inner).__name__} takes no positions"
    virtual = getattr(getattr(network, "active_peft_config", None), "is_prompt_learning", False)
    if virtual and type(network).__module__.startswith("peft."):
        return "PEFT puts its virtual tokens before the first sequence alone"
    if config._attn_implementation == attention.PACKED_ATTENTION:
        return ""
    if virtual:
        return f"{config._attn_implementation} attention does not know of virtual tokens"
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"{config._attn_implementation} attention takes no mask of its own"
    if getattr(config, "sliding_window", None) and (not kinds or "sliding_attention" in kinds):
        return f"{config._attn_implementation} attention makes the masks of its windows by itself"
    return ""


def with_supported_prefixes(batch: Batch, network: nn.Module, warnings: list[str]) -> Batch:
    """The batch as the network supports it: where necessary without shared prefixes, with a warning."""
    reason = why_prefixes_unsupported(network) if batch.prefix_of else ""
    if not reason:
        return batch
    warning = f"Shared prefixes are computed once for each sequence, at a higher cost: {reason}."
    if warning not in warnings:
        warnings.append(warning)
        log.warning(warning)
    return without_shared_prefixes(batch)


def without_shared_prefixes(batch: Batch) -> Batch:
    """The same sequences, each with its own copy of the prefix and in a block of its own; synchronises with the device.

    `examples`, `values` and the order of the sequences are unchanged.
    """
    rows = [[Row((sequence,))] for sequence in token_sequences(batch)]
    collated = collate(rows or [[]]).to(batch.input_ids.device)
    numbers = iter(collated.sequence_numbers)
    groups = tuple(tuple(next(numbers) for _ in group) for group in batch.sequence_groups)
    return replace(collated, examples=batch.examples, turns=batch.turns, values=batch.values, sequence_groups=groups)


def token_sequences(batch: Batch) -> list[TokenSequence]:
    """The sequences of a batch's rows, with their prefixes and in order; synchronises with the device."""
    ids, weights = batch.input_ids.flatten().cpu().numpy().astype(np.int32), batch.weights.flatten().cpu().numpy()

    def whole(number: int) -> TokenSequence:
        parts = [batch.prefix_of[number], number] if number in batch.prefix_of else [number]
        spans = [slice(batch.boundaries[part], batch.boundaries[part + 1]) for part in parts]
        return TokenSequence(*(np.concatenate([array[span] for span in spans]) for array in (ids, weights)))

    return [whole(number) for number in batch.sequence_numbers]


def sequence_sums(values: Tensor, batch: Batch) -> Tensor:
    """The sum of per-token values [B, T] over each sequence of the batch's rows, [len(batch.sequence_numbers)]."""
    lengths = [stop - start for start, stop in zip(batch.boundaries, batch.boundaries[1:], strict=False)]
    parts = values.flatten().split_with_sizes(lengths)
    if not batch.sequence_numbers:
        return values.flatten()[:0]  # nothing, but with a gradient
    return torch.stack([parts[number].sum() for number in batch.sequence_numbers])


def scatter_to_tokens(values: list[Tensor], batch: Batch, *, empty: float = 0) -> Tensor:
    """Values of the last tokens of each sequence of the batch's rows, laid where those tokens are predicted, [B, T].

    `values` holds a tensor for each of `batch.sequence_numbers`; one of n values is for the last n tokens.
    """
    result = torch.full((batch.input_ids.numel(),), empty, dtype=values[0].dtype if values else torch.float32)
    for number, each in zip(batch.sequence_numbers, values, strict=True):
        stop = batch.boundaries[number + 1] - 1
        result[stop - len(each) : stop] = each
    return result.view(batch.input_ids.shape)
