"""What this machine has: free memory, free disk, and how fast it multiplies."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import psutil
import torch

from luthier.training.cluster import devices_used
from luthier.training.strategies import ShardingStrategy
from luthier.training.trainer import Trainer

_CGROUP = Path("/sys/fs/cgroup")
ENOUGH, ROWS = 0.2, 512  # seconds, tokens
SUSTAINED = 0.45  # of the speed of one large product, over all that a step does


def sharing(trainer: Trainer) -> int:
    """The accelerators that hold a network together; 1 where each holds it whole, or all share memory.

    Ranks on processors share the memory of one machine: together they need that of one.
    """
    if not isinstance(trainer.strategy, ShardingStrategy) or trainer.device.type == "cpu":
        return 1
    return ranks(trainer)


def ranks(trainer: Trainer) -> int:
    """The processes of a training, one for each device of each machine."""
    return trainer.num_nodes * devices_used(trainer.devices, on_gpu=trainer.device.type == "cuda")


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
    """Operations a second that training sustains here: products as wide as the network, a fifth of a second of them.

    A processor that does not know the dtype may take a minute for a large one, so they grow until they take long.
    """
    left, columns, spent = torch.ones((ROWS, width), device=device, dtype=dtype), 2, 0.0
    left[:8] @ left[:8].T  # the first product of a process sets things up
    while columns < 4 * width and spent < ENOUGH:
        columns = min(2 * columns, 4 * width)
        right = torch.ones((width, columns), device=device, dtype=dtype)
        spent = _seconds(left, right, times=1)
    times = max(1, round(ENOUGH / spent))
    return SUSTAINED * times * 2 * left.numel() * columns / _seconds(left, right, times=times)


def _seconds(left: torch.Tensor, right: torch.Tensor, *, times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        left @ right
    if left.is_cuda:
        torch.cuda.synchronize(left.device)
    return time.perf_counter() - began
