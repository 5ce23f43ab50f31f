"""The fastest bf16 matrix product of this machine, in GFLOP/s, as a reference for training steps."""

from __future__ import annotations

import time

import torch

ROWS, WIDTH, INNER = 2048, 576, 1536


def fastest(times: int = 30) -> float:
    inputs, weight = torch.randn(ROWS, WIDTH).bfloat16(), torch.randn(INNER, WIDTH).bfloat16()
    gradient = torch.randn(ROWS, INNER).bfloat16()
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
