"""Peak memory of a run, and suggestions when memory runs out."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from luthier.errors import ResourceError

resource: Any = importlib.import_module("resource") if os.name == "posix" else None

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def peak_bytes() -> int:
    """The most memory so far: of the GPU where one is in use, else of this process; 0 where it is unknown."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return int(torch.cuda.max_memory_allocated())
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a device or on the host."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to set, and about how many bytes it saves."""

    setting: str
    saves: int

    def __str__(self) -> str:
        return f"{self.setting} (saves about {self.saves / 1e9:.1f} GB)" if self.saves >= 5e7 else self.setting


def suggestions(network: nn.Module, *, micro: int, length: int, checkpointing: bool) -> list[Suggestion]:
    """What would lower the peak, the largest saving first; `micro` rows of `length` tokens are one forward.

    Kept activations are estimated as 34 bytes for each token, layer and hidden unit in bfloat16 (Korthikanti et al.,
    2022, equation 1 without the attention matrix); halving `batch.micro` leaves the update as it is, because the
    accumulation follows.
    """
    config: Any = getattr(network, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    layers, width = getattr(config, "num_hidden_layers", 0), getattr(config, "hidden_size", 0)
    activations = 34 * micro * length * layers * width
    moved = sum(weight.numel() * weight.element_size() for weight in network.parameters() if weight.requires_grad)
    offers = [
        Suggestion(f"batch.micro={micro // 2}", activations // 2) if micro > 1 else None,
        Suggestion("model.gradient_checkpointing=true", int(activations * 0.8)) if not checkpointing else None,
        Suggestion(f"batch.length={length // 2}", activations // 2) if length > 256 else None,
        Suggestion("adaptation=lora", 3 * moved) if moved > 5e7 else None,
    ]
    return sorted((offer for offer in offers if offer), key=lambda offer: -offer.saves)


class MemoryExhausted(ResourceError):  # noqa: N818 - read as `except MemoryExhausted`
    """Memory ran out in a training step; the run can go on with smaller micro-batches, where there are any."""


def exhausted(error: BaseException, offers: list[Suggestion], *, where: str) -> MemoryExhausted:
    """What to tell a person when memory ran out: the three best suggestions, ranked."""
    ranked = "; ".join(f"{rank}. {offer}" for rank, offer in enumerate(offers[:3], 1))
    return MemoryExhausted(
        f"Memory ran out: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        where=where,
        hint=f"What helps most: {ranked}." if ranked else "A smaller model or a larger machine is needed.",
        resumable=True,
    )


class OutOfMemory(pl.Callback):
    """Turns running out of memory while training into a ResourceError with ranked suggestions."""

    def __init__(self, *, micro: int, length: int, checkpointing: bool) -> None:
        self.micro, self.length, self.checkpointing = micro, length, checkpointing

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if is_out_of_memory(exception):
            network = getattr(pl_module, "network", pl_module)
            offers = suggestions(network, micro=self.micro, length=self.length, checkpointing=self.checkpointing)
            raise exhausted(exception, offers, where=f"step {trainer.global_step + 1}") from exception
