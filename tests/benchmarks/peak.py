"""The fastest matrix product of this machine, in GFLOP/s, as a reference for training steps."""

from __future__ import annotations

import time

import torch

ROWS, WIDTH, INNER = 2048, 576, 1536


def fastest(times: int = 30, dtype: torch.dtype = torch.bfloat16) -> float:
    inputs, weight = torch.randn(ROWS, WIDTH).to(dtype), torch.randn(INNER, WIDTH).to(dtype)
    gradient = torch.randn(ROWS, INNER).to(dtype)
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        torch.mm(inputs, weight.t())
        torch.mm(gradient, weight)
        torch.mm(gradient.t(), inputs)
        seconds.append((time.perf_counter() - start) / 3)
    return 2 * ROWS * WIDTH * INNER / min(seconds) / 1e9


if __name__ == "__main__":
    print(fastest())
