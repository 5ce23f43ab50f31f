"""Which precision a device computes faster: torch's answer for a GPU, a measurement of milliseconds for a processor."""

from __future__ import annotations

import json
import platform
import time
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from luthier.data.content_hashes import content_hash
from luthier.errors import ResourceError
from luthier.fetch.cache import cache_folder
from luthier.fetch.once import build_once
from luthier.records.ranks import local_rank

Precision = Literal["fp32", "bf16"]
WORTH = 1.25
"""How many times as fast its products must be before a lower precision pays for the casts of its weights."""
ENOUGH = 0.003  # seconds of one product that a clock can tell
SMALLEST, LARGEST, TIMES = 128, 1024, 5
_MEASURED = "times_as_fast.json"


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
        return torch.device("cuda", local_rank())
    return torch.device("cpu")


def faster(device: torch.device) -> Precision:
    """bf16 where the device computes it faster than float32, else fp32."""
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

    It is measured once for a processor and a version of torch, and kept: the next process decides the same.
    """
    about = content_hash([*_processor(), torch.__version__, str(dtype), "one thread"])
    try:
        folder = cache_folder("precision") / about[:32]
        file = build_once(folder, lambda place: _write(place, _measured(dtype))) / _MEASURED
        return float(json.loads(file.read_text(encoding="utf-8")))
    except (ResourceError, OSError):  # nothing may be written, or nothing can
        return _measured(dtype)


def _write(folder: Path, times: float) -> None:
    (folder / _MEASURED).write_text(json.dumps(times), encoding="utf-8")


def _processor() -> list[str]:
    """Its name and instructions, as Linux lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [platform.processor(), platform.machine()]
    return sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})


def _measured(dtype: torch.dtype) -> float:
    """The best of a few products of one size, in turns: small ones first, as an emulated product may take a minute."""
    size, threads = SMALLEST, torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other on a busy machine count the time of others
    try:
        while True:
            plain, other = torch.ones(size, size), torch.ones(size, size, dtype=dtype)
            best = [float("inf")] * 2
            for _ in range(TIMES):
                best = [min(before, _seconds(one)) for before, one in zip(best, (plain, other), strict=True)]
            if max(best) >= ENOUGH or size >= LARGEST:
                return best[0] / best[1]
            size *= 2
    finally:
        torch.set_num_threads(threads)


def _seconds(square: torch.Tensor) -> float:
    """Of computing: other processes do not count."""
    began = time.thread_time()
    torch.mm(square, square)
    return time.thread_time() - began
