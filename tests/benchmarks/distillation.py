"""One step of distillation against the loop that one would write by hand: peak memory and seconds, each by itself.

`python tests/benchmarks/distillation.py MODEL --out FILE`: MODEL is a folder as transformers writes it, the teacher;
the student has a third of its layers. Both loops read the same packed rows, compute in float32 and take forward KL.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

LOOPS, TEMPERATURE = ("by_hand", "luthier"), 2.0


def by_hand(folder: str, rows: int, length: int, steps: int) -> list[float]:
    """All logits of both networks, as one array each."""
    import torch
    from torch.nn.functional import kl_div, log_softmax, softmax

    (teacher, student), ids = _networks(folder), _ids(folder, rows, length)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        with torch.no_grad():
            p = softmax(teacher(input_ids=ids, use_cache=False).logits[:, :-1] / TEMPERATURE, dim=-1)
        q = log_softmax(student(input_ids=ids, use_cache=False).logits[:, :-1] / TEMPERATURE, dim=-1)
        loss = kl_div(q.flatten(0, 1), p.flatten(0, 1), reduction="batchmean") * TEMPERATURE**2
        loss.backward()
        student.zero_grad()
        seconds.append(time.perf_counter() - began)
    return seconds


def luthier(folder: str, rows: int, length: int, steps: int) -> list[float]:
    import numpy as np

    from luthier.adaptation import Full
    from luthier.data.collate import collate
    from luthier.models.folder import Folder
    from luthier.parts import Row, Sequence
    from luthier.training.allocator import keep_freed_memory
    from luthier_distillation.alignment import SameTokens
    from luthier_distillation.distill import Distillation
    from luthier_distillation.layers import Evenly
    from luthier_distillation.pruned import Pruned
    from luthier_distillation.sequences import FromData
    from luthier_distillation.signals import ForwardKl
    from luthier_distillation.width import ByActivation

    keep_freed_memory()
    teacher = Folder(path=folder)
    keep = teacher.config.num_hidden_layers // 3
    student = Pruned(base=teacher, layers=Evenly(), importance=ByActivation(corpus=None), keep=keep)
    method = Distillation(
        student, Full(), None,
        signal=ForwardKl(temperature=TEMPERATURE), sequences=FromData(), alignment=SameTokens(), teacher=teacher,
    )  # fmt: skip
    method.configure_model()
    weights = np.ones(length, dtype=np.float32)
    weights[0] = 0
    ids = _ids(folder, rows, length).numpy().astype(np.int32)
    batch = collate([[Row((Sequence(each, weights),))] for each in ids])
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        loss = method.loss(batch)
        (loss.sum / loss.weight).backward()
        method.network.zero_grad()
        seconds.append(time.perf_counter() - began)
    return seconds


def _networks(folder: str):
    from copy import deepcopy

    import torch
    from transformers import AutoModelForCausalLM

    teacher = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
    config = deepcopy(teacher.config)
    config.num_hidden_layers //= 3
    return teacher, AutoModelForCausalLM.from_config(config).train()


def _ids(folder: str, rows: int, length: int):
    import torch

    return torch.randint(5, 40_000, (rows, length), generator=torch.Generator().manual_seed(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--loop", choices=LOOPS)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if asked.loop:
        seconds = {"by_hand": by_hand, "luthier": luthier}[asked.loop](
            asked.model, asked.rows, asked.length, asked.steps
        )
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        print(json.dumps({"peak_bytes": peak, "seconds": min(seconds)}))
        return
    found = {}
    for loop in LOOPS:
        words = [sys.executable, __file__, asked.model, "--loop", loop, "--rows", str(asked.rows)]
        words += ["--length", str(asked.length), "--steps", str(asked.steps)]
        found[loop] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    hand, own = found["by_hand"], found["luthier"]
    lines = ["| | peak memory | seconds a step |", "| --- | --- | --- |"]
    for name, one in (("by hand, whole logits", hand), ("luthier", own)):
        lines.append(f"| {name} | {one['peak_bytes'] / 2**30:.2f} GiB | {one['seconds']:.1f} |")
    told = {"rows": asked.rows, "length": asked.length, **found, "table": "\n".join(lines)}
    if asked.out:
        asked.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(told["table"])


if __name__ == "__main__":
    main()
