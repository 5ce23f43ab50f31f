"""What this machine has: free memory, free disk, and how fast it multiplies."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil
import torch

_CGROUP = Path("/sys/fs/cgroup")
SUSTAINED = 0.45  # of the speed of one large product, over all that a step does


def free_memory(device: torch.device) -> int:
    """Bytes that a run could take now: of the GPU, or of the machine and the container around this process."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free


def free_disk(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def flops(device: torch.device, dtype: torch.dtype, *, width: int) -> float:
    """Operations a second that training sustains here: a fifth of a second of products as wide as the network."""
    left, right = (torch.ones(shape, device=device, dtype=dtype) for shape in ((512, width), (width, 4 * width)))
    left @ right
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < 0.2:
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        count += 1
    return SUSTAINED * count * 2 * left.numel() * right.shape[1] / spent
