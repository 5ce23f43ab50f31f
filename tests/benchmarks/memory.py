"""What `luthier plan` says of memory, with and without `--probe`, beside the peak of the run itself, on a dozen
recipes.

Each recipe is planned, probed and run in processes of their own; of the run the report says the peak.

    python tests/benchmarks/memory.py [--steps 6] [--only 'full;lora'] [--tiny] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conversations import prepare

REAL = ("model=folder", "model.path={folder}/model", "data=jsonl", "data.file={folder}/data.jsonl")
TINY = ("model=tiny", "data=demo", "batch.length=128")
ALIKE = ("stages=[fit]", "trainer.precision=fp32", "data.splits.test=0", "trainer.epochs=100", "batch.size=4")
WIDE = (
    "model=random", "model.vocabulary=4096",
    "model.config={hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 6, num_attention_heads: 16,"
    " num_key_value_heads: 4, max_position_embeddings: 2048}",
)  # fmt: skip
RECIPES = {
    "full": ("adaptation=full", "batch.micro=2", "batch.length=512"),
    "full, one row": ("adaptation=full", "batch.micro=1", "batch.length=1024"),
    "full, checkpointing": (
        "adaptation=full", "model.gradient_checkpointing=true", "batch.micro=2", "batch.length=512",
    ),
    "full, rows of their own": ("adaptation=full", "batch.packing=false", "batch.micro=2", "batch.length=1024"),
    "full, Muon": ("adaptation=full", "optimizer=muon", "batch.micro=1", "batch.length=512"),
    "full, continued pre-training": (
        "adaptation=full", "method=cpt", "data/format=turns", "data.format.role=assistant", "batch.micro=2",
        "batch.length=512",
    ),
    "lora": ("adaptation=lora", "batch.micro=2", "batch.length=512"),
    "lora, four rows": ("adaptation=lora", "batch.micro=4", "batch.length=512"),
    "lora, checkpointing": (
        "adaptation=lora", "model.gradient_checkpointing=true", "batch.micro=4", "batch.length=512",
    ),
    "bitfit": ("adaptation=bitfit", "adaptation.norms=true", "batch.micro=2", "batch.length=512"),
    "prefix": ("adaptation=prefix", "batch.micro=2", "batch.length=512"),
    "another shape, full": (*WIDE, "adaptation=full", "batch.micro=2", "batch.length=512"),
}  # fmt: skip


def luthier(*words: str, cwd: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "luthier", *words], capture_output=True, text=True, cwd=cwd)


def measure(words: list[str], steps: int) -> dict[str, Any]:
    """Bytes that were estimated, probed and taken, or the error of the command that failed."""
    words = [*words, f"trainer.max_steps={steps}"]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, more in (("estimated", []), ("probed", ["--probe"])):
            done = luthier("plan", *words, *more, "--json", cwd=scratch)
            if done.returncode:
                return {"refused": (done.stdout + done.stderr)[-400:]}
            plan = json.loads(done.stdout)
            found[name] = plan["memory"]["total"]
            found |= {"parts": plan["memory"]} if not more else {"probed_step": plan["probe"]["seconds"]}
        run = Path(scratch) / "run"
        done = luthier(*words, f"hydra.run.dir={run}", cwd=scratch)
        if done.returncode:
            return {"refused": done.stderr[-400:]}
        record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    return {**found, "peak": record["training"]["peak_memory"]}


def table(results: dict[str, dict[str, Any]]) -> str:
    lines = ["| recipe | peak of the run | `plan` | `plan --probe` |", "|---|---|---|---|"]
    for name, found in results.items():
        if "refused" in found:
            lines.append(f"| {name} | {found['refused']} | | |")
            continue
        shares = [
            f"{found[how] / 1e9:.2f} GB ({found[how] / found['peak'] - 1:+.0%})" for how in ("estimated", "probed")
        ]
        lines.append(f"| {name} | {found['peak'] / 1e9:.2f} GB | {' | '.join(shares)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    wanted = [name for name in arguments.only.split(";") if name] or list(RECIPES)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.tiny:
            prepare(Path(folder))
        for name in wanted:
            where = [word.format(folder=folder) for word in (TINY if arguments.tiny else REAL)]
            recipe = RECIPES[name]
            if "model=random" in recipe:
                where = [word for word in where if not word.startswith("model")]
            results[name] = measure([*where, *ALIKE, *recipe], arguments.steps)
            print(name, json.dumps(results[name]), file=sys.stderr, flush=True)
    print(table(results))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
