"""Noisy embeddings (NEFTune)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from luthier.api import Batch, unwrapped


@contextmanager
def noisy_embeddings(network: nn.Module, batch: Batch, alpha: float) -> Iterator[None]:
    """Add uniform noise in ±alpha / sqrt(L · d) to the embeddings, L being the length of each packed sequence.

    Jain et al., 2023, algorithm 1.
    """
    if not alpha:
        yield
        return

    def add_noise(module: nn.Module, inputs: tuple[Any, ...], embedded: Tensor) -> Tensor:
        lengths = torch.tensor(batch.boundaries, device=embedded.device).diff()
        length_of_token = lengths.repeat_interleave(lengths).view(embedded.shape[:2])
        scale = alpha / (length_of_token * embedded.shape[-1]).sqrt()
        return embedded + torch.empty_like(embedded).uniform_(-1, 1) * scale.unsqueeze(-1).to(embedded.dtype)

    handle = unwrapped(network).get_input_embeddings().register_forward_hook(add_noise)  # type: ignore[operator]
    try:
        yield
    finally:
        handle.remove()
