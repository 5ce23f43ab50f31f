"""In a process of its own, since what is told to the C library cannot be taken back."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
import torch
from luthier.training import allocator
told = allocator.keep_freed_memory(2**31) if sys.argv[1] == "keep" else None
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(n * 2**20) for n in (1, 9, 33)]
    del parts
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
resident = int(open("/proc/self/statm").read().split()[1]) * 4096
print(json.dumps({"told": told, "faults": faults, "resident": resident}))
"""


def run(mode: str, **environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_step_gets_the_memory_of_the_step_before_without_asking_the_kernel() -> None:
    left_alone, kept = run("leave"), run("keep")
    assert kept["told"] is True
    assert left_alone["faults"][-1] > 8000  # 33 MiB-floats in pages of 4 kB
    assert kept["faults"][-1] < 100


def test_address_space_laid_out_holds_no_memory() -> None:
    assert run("keep")["resident"] < 2**30


def test_who_set_the_allocator_up_keeps_their_settings() -> None:
    assert run("keep", MALLOC_ARENA_MAX="2")["told"] is False


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier.training import allocator

    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
