"""Attention across documents, where a recipe asks for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from luthier.api import Batch


def joined(batch: Batch) -> Batch:
    """The batch with each block as one sequence: tokens see the documents before theirs, and positions run on.

    The first token of a document stays nobody's to predict. Padding stands last, where no token of weight sees it.
    """
    blocks, length = batch.input_ids.shape
    positions = torch.arange(length, device=batch.positions.device).expand(blocks, length)
    return replace(
        batch,
        positions=positions,
        segments=torch.ones_like(batch.segments),
        boundaries=tuple(range(0, blocks * length + 1, length)),
    )
