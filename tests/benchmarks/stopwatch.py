"""What every contender is measured with: wall and CPU seconds and non-pad tokens of each optimizer step."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    """The command line that the benchmark gives to each contender."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="a folder")
    parser.add_argument("--data", required=True, help="conversations, a JSON Lines file")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--out", required=True, help="the JSON file to write")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    return parser.parse_args()


class Stopwatch:
    """`lap(tokens)` ends an optimizer step; `write` leaves all of them, and the peak of memory, in a file."""

    def __init__(self) -> None:
        self.laps: list[dict[str, float]] = []
        self.start()

    def start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    def lap(self, tokens: int, loss: float) -> None:
        wall, cpu = time.perf_counter(), cpu_seconds()
        self.laps.append({"tokens": tokens, "wall": wall - self._wall, "cpu": cpu - self._cpu, "loss": loss})
        self._wall, self._cpu = wall, cpu

    def write(self, out: str | Path) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        result: dict[str, Any] = {"laps": self.laps, "peak_gib": peak}
        Path(out).write_text(json.dumps(result), encoding="utf-8")


def cpu_seconds() -> float:
    """Of this process, all threads, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
