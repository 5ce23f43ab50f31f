"""Which precision a device computes faster: torch's answer for a GPU, a measurement of milliseconds for a processor."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Literal

import torch

from luthier.errors import ResourceError

Precision = Literal["fp32", "bf16"]
WORTH = 1.25
"""How many times as fast its products must be before a lower precision pays for the casts of its weights."""
ENOUGH = 0.003  # seconds of one product that a clock can tell
SMALLEST, LARGEST, TIMES = 128, 1024, 3


def device_of(accelerator: str) -> torch.device:
    """Where a network computes that this process holds whole; ResourceError where a GPU is asked for and none seen."""
    seen = torch.cuda.is_available()
    if accelerator == "gpu" and not seen:
        raise ResourceError(
            "trainer=gpu needs a CUDA device, and torch sees none.",
            where="trainer.accelerator",
            hint="Use trainer=cpu, or install a torch built for your driver.",
        )
    if accelerator != "cpu" and seen:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def faster(device: torch.device) -> Precision:
    """bf16 where the device computes it faster than float32, else fp32; once a process."""
    return "bf16" if is_worth(device, torch.bfloat16) else "fp32"


def is_worth(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products in this dtype are faster than in float32 by more than what casting costs."""
    if device.type == "cuda":
        return dtype is not torch.bfloat16 or torch.cuda.is_bf16_supported(including_emulation=False)
    return speedup(dtype) > WORTH


def in_words(device: torch.device, dtype: torch.dtype) -> str:
    """What is known of this device's products in a dtype: `this processor multiplies in bfloat16 …`."""
    name = str(dtype).removeprefix("torch.")
    if device.type == "cuda":
        knows = "has" if is_worth(device, dtype) else "has no"
        return f"torch says that this GPU ({torch.cuda.get_device_name(device)}) {knows} {name} units"
    times = speedup(dtype)
    how = f"{times:.2g} times as fast" if times >= 1 else f"{1 / times:.2g} times slower"
    return f"this processor multiplies in {name} {how} {'as' if times >= 1 else 'than'} in float32"


@cache
def speedup(dtype: torch.dtype) -> float:
    """How many times as fast as in float32 this processor multiplies in a dtype; 0.01 where it emulates it.

    The best of a few products of one size, in turns: small ones first, as an emulated product may take a minute.
    """
    size = SMALLEST
    while True:
        plain, other = torch.ones(size, size), torch.ones(size, size, dtype=dtype)
        best = [float("inf")] * 2
        for _ in range(TIMES):
            best = [min(before, _seconds(one)) for before, one in zip(best, (plain, other), strict=True)]
        if max(best) >= ENOUGH or size >= LARGEST:
            return best[0] / best[1]
        size *= 2


def _seconds(square: torch.Tensor) -> float:
    began = time.perf_counter()
    torch.mm(square, square)
    return time.perf_counter() - began
