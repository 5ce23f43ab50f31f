"""One step of distillation against a plain loop over whole logits: peak memory and seconds, a process each.

`python tests/benchmarks/distillation.py MODEL --out FILE`: MODEL is a folder as transformers writes it, the teacher;
the student has a third of its layers. Both loops train on the same packed rows in float32 with forward KL; with
`recomputed`, both have gradient checkpointing of the student's layers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

LOOPS, TEMPERATURE = ("by_hand", "luthier"), 2.0
STEPS = {"4 rows of 512 tokens": (4, False), "8 rows of 512 tokens, recomputed": (8, True)}
LENGTH = 512


def by_hand(folder: str, rows: int, recomputed: bool, steps: int) -> list[float]:
    """All logits of both networks exist at once."""
    import torch
    from torch.nn.functional import kl_div, log_softmax, softmax

    (teacher, student), ids = _networks(folder), _ids(rows)
    if recomputed:
        student.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
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


def luthier(folder: str, rows: int, recomputed: bool, steps: int) -> list[float]:
    import numpy as np

    from luthier.contracts.batch import Row, TokenSequence
    from luthier.data.collate import collate
    from luthier.models.adaptation import FullFineTuning
    from luthier.models.folder import Folder
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
    base = Folder(path=folder, gradient_checkpointing=recomputed)
    student = Pruned(base=base, layers=Evenly(), importance=ByActivation(corpus=None), keep=keep)
    method = Distillation(
        student, FullFineTuning(), None,
        signal=ForwardKl(temperature=TEMPERATURE), sequences=FromData(), alignment=SameTokens(), teacher=teacher,
    )  # fmt: skip
    method.configure_model()
    weights = np.ones(LENGTH, dtype=np.float32)
    weights[0] = 0
    ids = _ids(rows).numpy().astype(np.int32)
    batch = collate([[Row((TokenSequence(row, weights),))] for row in ids])
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


def _ids(rows: int):
    import torch

    return torch.randint(5, 40_000, (rows, LENGTH), generator=torch.Generator().manual_seed(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--loop", choices=LOOPS)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.loop:
        loop = {"by_hand": by_hand, "luthier": luthier}[arguments.loop]
        seconds = loop(arguments.model, *STEPS[arguments.step], arguments.steps)
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
        print(json.dumps({"peak_bytes": peak, "seconds": min(seconds)}))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    lines = ["| a step of | whole logits, by hand | luthier | of the memory | of the time |", "|---|---|---|---|---|"]
    for step in STEPS:
        for loop in LOOPS:
            options = ["--loop", loop, "--step", step, "--steps", str(arguments.steps)]
            command = [sys.executable, __file__, arguments.model, *options]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            results.setdefault(step, {})[loop] = json.loads(done.stdout)
        hand, own = (results[step][loop] for loop in LOOPS)
        cells = [f"{one['peak_bytes'] / 2**30:.2f} GiB, {one['seconds']:.1f} s" for one in (hand, own)]
        cells += [f"{own[what] / hand[what]:.2f}" for what in ("peak_bytes", "seconds")]
        lines.append(f"| {step} | {' | '.join(cells)} |")
    record = {"steps": results, "table": "\n".join(lines)}
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(record["table"])


if __name__ == "__main__":
    main()
