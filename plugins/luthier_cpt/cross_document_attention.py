"""Attention across the packed documents of a block."""

from __future__ import annotations

from dataclasses import replace

import torch

from luthier.api import Batch


def across_documents(batch: Batch) -> Batch:
    """The batch with each block as one sequence: tokens attend to earlier documents, and positions run on.

    The first token of a document is still masked in the loss. Padding comes last, so no trained token attends to it.
    """
    blocks, length = batch.input_ids.shape
    positions = torch.arange(length, device=batch.positions.device).expand(blocks, length)
    return replace(
        batch,
        positions=positions,
        segments=(batch.segments > 0).to(batch.segments.dtype),
        boundaries=tuple(range(0, blocks * length + 1, length)),
    )
