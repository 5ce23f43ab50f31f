"""The gate: speed counts only where as much is learned. Held-out loss after 8 and 50 steps, by seed and recipe.

Each recipe starts from the same SmolLM2-135M and takes the same steps (AdamW, lr 1e-5, one packed block of 512 tokens
each); what it learned is measured in float32 on conversations that were never trained on. A recipe passes if it is
within 0.01 nats of plain transformers, in float32 and under bf16 autocast, everywhere.

    python tests/benchmarks/learning.py [--seeds 3] [--threads 2] [--out learning.json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from conversations import prepare
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.cli.threads import SPINS
from luthier.contracts.batch import Batch, Row, TokenSequence
from luthier.data.collate import collate
from luthier.data.packing import best_fit
from luthier.models import attention
from luthier.models.lm_head import find_lm_head, hidden_states
from luthier.training.allocator import keep_freed_memory

RECIPES = {
    "transformers, fp32": {"attn": "sdpa", "autocast": False, "ours": False, "compile": False},
    "transformers, bf16 autocast": {"attn": "sdpa", "autocast": True, "ours": False, "compile": False},
    "luthier, bf16": {"attn": attention.PACKED_ATTENTION, "autocast": True, "ours": True, "compile": False},
    "luthier, bf16, compiled": {"attn": attention.PACKED_ATTENTION, "autocast": True, "ours": True, "compile": True},
}
LENGTH, STEPS, LOOK_AT, HELD_OUT, ALLOWED = 512, 50, (8, 50), 24, 0.01


def rows(folder: Path) -> list[Row]:
    tokenizer, found = AutoTokenizer.from_pretrained(folder / "model"), []
    for line in (folder / "data.jsonl").read_text(encoding="utf-8").splitlines():
        messages = json.loads(line)["messages"]
        ids = np.array(tokenizer.apply_chat_template(messages, return_dict=False), dtype=np.int32)
        weights = np.ones(len(ids), dtype=np.float32)
        asked = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
        weights[: len(asked)] = 0
        found.append(Row((TokenSequence(ids, weights),)))
    return [found[at] for at in np.random.default_rng(123).permutation(len(found))]


def batches(some: list[Row], seed: int | None) -> list[Batch]:
    order = np.arange(len(some)) if seed is None else np.random.default_rng(seed).permutation(len(some))
    some = [some[at] for at in order]
    blocks = best_fit(np.array([len(row) for row in some]), LENGTH)
    shuffled = np.random.default_rng(seed or 0).permutation(len(blocks))
    return [collate([[some[at] for at in blocks[block]]], LENGTH) for block in shuffled]


class Learner:
    """One recipe on one seed."""

    def __init__(self, folder: Path, recipe: dict[str, Any]) -> None:
        attention.register()
        self.recipe = recipe
        self.network = AutoModelForCausalLM.from_pretrained(
            folder / "model", dtype=torch.float32, attn_implementation=recipe["attn"]
        ).train()
        if recipe["compile"]:
            for layer in self.network.model.layers:
                layer.compile()
        self.head = find_lm_head(self.network)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=1e-5, weight_decay=0.01, fused=True)

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        targets, weights = batch.input_ids[:, 1:].flatten(), batch.weights[:, 1:].flatten()
        if self.recipe["ours"]:
            return self.head.cross_entropy(hidden_states(self.network, batch)[:, :-1].flatten(0, 1), targets, weights)
        (only,) = attention.forward_passes(batch, attention.layout_of(self.network))
        logits = self.network(**only.inputs).logits[:, :-1].flatten(0, 1).float()
        return (nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum(), weights.sum()

    def step(self, batch: Batch) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.recipe["autocast"] else nullcontext():
            total, weight = self.loss(batch)
        (total / weight).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def held_out(self, some: list[Batch]) -> float:
        sums = torch.tensor([[part.item() for part in self.loss(batch)] for batch in some]).sum(0)
        return float(sums[0] / sums[1])


def learn(folder: Path, name: str, seed: int) -> list[float]:
    """Held-out losses, before and after the steps of LOOK_AT."""
    keep_freed_memory()
    torch.manual_seed(seed)
    some = rows(folder)
    test, train = batches(some[:HELD_OUT], None), batches(some[HELD_OUT:], seed)
    learner = Learner(folder, RECIPES[name])
    found = [learner.held_out(test)]
    for step in range(STEPS):
        learner.step(train[step % len(train)])
        if step + 1 in LOOK_AT:
            found.append(learner.held_out(test))
    return found


def table(results: dict[str, dict[int, list[float]]]) -> str:
    lines = ["| recipe | seed | before | " + " | ".join(f"after {n}" for n in LOOK_AT) + " | largest distance |"]
    lines.append("|---" * (4 + len(LOOK_AT)) + "|")
    plain = [name for name in results if name.startswith("transformers")]
    for name, seeds in results.items():
        for seed, losses in seeds.items():
            others = [results[other].get(seed, []) for other in plain]
            if not all(others):
                continue  # nothing to hold it against yet
            far = max((abs(a - b) for other in others for a, b in zip(losses, other, strict=True)), default=0)
            verdict = "" if name in plain else ", passes" if far <= ALLOWED else ", FAILS"
            lines.append(f"| {name} | {seed} | {' | '.join(f'{loss:.4f}' for loss in losses)} | {far:.4f}{verdict} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", help="names of recipes, separated by semicolons; all by default")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures; what it holds already is not run again")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "RECIPE", "SEED"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.one:
        print(json.dumps(learn(Path(asked.one[0]), asked.one[1], int(asked.one[2]))))
        return
    known = json.loads(asked.out.read_text(encoding="utf-8"))["results"] if asked.out and asked.out.exists() else {}
    results = {name: {int(seed): losses for seed, losses in seeds.items()} for name, seeds in known.items()}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for seed in range(asked.seeds):
            for name in asked.only.split(";") if asked.only else RECIPES:
                if seed in results.setdefault(name, {}):
                    continue
                command = [sys.executable, __file__, "--threads", str(asked.threads), "--one", folder, name, str(seed)]
                environ = os.environ | {"GOMP_SPINCOUNT": SPINS}
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ)
                results[name][seed] = json.loads(done.stdout.splitlines()[-1])
                print(f"{name}, seed {seed}: {results[name][seed]}", file=sys.stderr, flush=True)
                if asked.out:
                    kept = {"results": results, "table": table(results)}
                    asked.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
