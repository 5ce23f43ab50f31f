"""Speed of GRPO, SmolLM2-135M with all weights trained: luthier against TRL's GRPOTrainer.

A step samples eight answers of at most 64 tokens to one prompt, rewards short ones, and trains on them; both in bf16
autocast over float32 weights, on the same prompts. Each contender runs in separate processes, in turns; ratios are
taken within a turn. Measured are the sampled tokens per second of the whole step, as answers differ in length, and the
share of sampling in it.

    python tests/benchmarks/grpo.py [--rounds 3] [--steps 8] [--out docs/measured/benchmarks/grpo.json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from conversations import prepare
from sft import TRL, WARMUP, make_trl, script, spread

from luthier.cli.threads import SPINS

HERE = Path(__file__).parent
GROUP = 8
BASIS = "TRL GRPOTrainer"
RECIPE = [
    sys.executable, "-m", "luthier", "model=folder", "model.path={model}", "method=grpo", "method/objective=dapo",
    "method/reward=length", "method.reward.most=1", "method.reward.slack=64", f"method.group={GROUP}",
    "method.rollout.max_new_tokens=64", "data=jsonl", "data.file={data}", "data.splits.test=0", "stages=[fit]",
    "trainer.precision=bf16", "trainer.max_steps={steps}", "batch.packing=false", "batch.size=1", "batch.micro=1",
    "batch.length=512", "optimizer.lr=1e-6", "hydra.run.dir={run}",
]  # fmt: skip
CONTENDERS = {"luthier": RECIPE, BASIS: script(TRL, "trl_grpo.py")}


def measure(name: str, command: list[str], folder: Path, steps: int, threads: int) -> dict[str, Any]:
    """One process of a contender: sampled tokens per second and the share of sampling, over the steps after warm-up."""
    with tempfile.TemporaryDirectory() as scratch:
        out, run = Path(scratch) / "out.json", Path(scratch) / "run"
        places = {"model": folder / "model", "data": folder / "data.jsonl", "run": run}
        filled = [part.format(**places, steps=steps, out=out) for part in command]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE / "contenders")]),
            "OMP_NUM_THREADS": str(threads),
            "GOMP_SPINCOUNT": SPINS,
        }
        done = subprocess.run(filled, env=environment, capture_output=True, text=True, cwd=scratch)
        if done.returncode:
            raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        if out.exists():
            laps = json.loads(out.read_text(encoding="utf-8"))["laps"]
        else:
            laps = [_lap(json.loads(line)) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    laps = laps[WARMUP:]
    seconds = sum(lap["wall"] for lap in laps)
    return {
        "step": seconds / len(laps),
        "wall": sum(lap["tokens"] for lap in laps) / seconds,
        "writing": sum(lap["generating"] for lap in laps) / seconds,
        "tokens": [int(lap["tokens"]) for lap in laps],
    }


def _lap(step: dict[str, Any]) -> dict[str, float]:
    return {"wall": step["seconds"], "generating": step["rollout_seconds"], "tokens": GROUP * step["answer_tokens"]}


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: medians with the lowest and highest, and ratios to TRL turn by turn."""
    lines = [
        "| contender | tokens written/s | against TRL | seconds a step | share of writing |",
        "|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        rates = [run["wall"] for run in runs]
        ratios = [rate / other["wall"] for rate, other in zip(rates, results[BASIS], strict=True)]
        cells = [spread(rates, ".1f"), spread(ratios, ".2f"), spread([run["step"] for run in runs], ".1f")]
        lines.append(f"| {name} | {' | '.join(cells)} | {median(run['writing'] for run in runs):.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help=f"of a process; the first {WARMUP} are not counted")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    make_trl()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        facts = prepare(Path(folder))
        for turn in range(asked.rounds):
            for name, command in CONTENDERS.items():
                results[name].append(measure(name, command, Path(folder), asked.steps, asked.threads))
                print(f"{turn + 1}/{asked.rounds} {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    shown = (
        f"{table(results)}\n\nOne prompt a step, {GROUP} answers of at most 64 tokens; {asked.threads} threads; "
        f"{asked.rounds} processes each, {asked.steps - WARMUP} steps counted."
    )
    print(shown)
    if asked.out:
        figures = {"facts": facts, "load": os.getloadavg(), "results": results, "table": shown}
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
