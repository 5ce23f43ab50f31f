"""Speed of supervised fine-tuning, SmolLM2-135M with all weights moving: luthier against a plain loop and TRL.

Each contender runs in processes of its own, one after the other in turns, on the same conversations and in the
precision that the machine computes faster: bf16 autocast over float32 weights, or float32. A figure is the median of
its processes, with the lowest and the highest beside it. Ratios are taken within a turn, so that a machine that is
slower for a while is slower for all of them. The CPU time of each process is in the JSON only: on a machine that is
shared it counts time that others took.

    python tests/benchmarks/sft.py [--rounds 3] [--steps 8] [--only 'luthier;TRL, packing'] [--out benchmarks.json]
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

import torch
from conversations import prepare
from peak import fastest

from luthier.cli.threads import SPINS
from luthier.training.precision import faster

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
TRL = ROOT / ".venv-bench" / "bin" / "python"
WARMUP = 2
BASIS = "TRL SFTTrainer"


def script(python: str | Path, name: str, *more: str) -> list[str]:
    return [str(python), str(HERE / "contenders" / name), "--model", "{model}", "--data", "{data}",
            "--steps", "{steps}", "--out", "{out}", "--precision", "{precision}", *more]  # fmt: skip


def recipe(*more: str) -> list[str]:
    return [sys.executable, "-m", "luthier", "-p", "luthier_clock", "model=folder", "model.path={model}",
            "data=jsonl", "data.file={data}", "data.splits.test=0", "stages=[fit]", "trainer.max_steps={steps}",
            "trainer.epochs=100", "batch.size=1", "batch.micro=1", "batch.length=2048", "optimizer.lr=1e-5",
            "hydra.run.dir={run}", "trainer.precision={precision}", *more]  # fmt: skip


CONTENDERS = {
    "luthier": recipe(),
    "luthier, compiled": recipe("model.compile=true"),
    "hand loop, luthier's tricks": script(sys.executable, "hand_loop.py"),
    "plain transformers loop": script(sys.executable, "plain_loop.py"),
    BASIS: script(TRL, "trl_trainer.py"),
    "TRL, packing": script(TRL, "trl_trainer.py", "--packing"),
}


def make_trl() -> None:
    """TRL in an environment of its own, with the torch and transformers that luthier is measured with."""
    if TRL.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", TRL.parents[1]], check=True)
    pip = [TRL, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*pip, "torch"], check=True)
    subprocess.run([*pip, "trl==1.16.0"], check=True)


def measure(name: str, command: list[str], folder: Path, steps: int, threads: int, precision: str) -> dict[str, Any]:
    """One process of a contender: tokens a second by the wall and by the CPU, over the steps after the warm-up."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out.json"
        places = {"model": folder / "model", "data": folder / "data.jsonl", "run": Path(scratch) / "run"}
        filled = [part.format(**places, steps=steps, out=out, precision=precision) for part in command]
        environment = os.environ | {
            "BENCHMARK_OUT": str(out),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE / "contenders")]),
            "OMP_NUM_THREADS": str(threads),
            "GOMP_SPINCOUNT": SPINS,  # luthier sets it itself; the others shall not suffer from a busy machine
        }
        done = subprocess.run(filled, env=environment, capture_output=True, text=True, cwd=scratch)
        if done.returncode or not out.exists():
            raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        result = json.loads(out.read_text(encoding="utf-8"))
    laps = result["laps"][WARMUP:]
    tokens = sum(lap["tokens"] for lap in laps)
    return {
        "wall": tokens / sum(lap["wall"] for lap in laps),
        "cpu": tokens / sum(lap["cpu"] for lap in laps) * threads,
        "peak_gib": result["peak_gib"],
        "first_step": result["laps"][0]["wall"],
        "losses": [round(lap["loss"], 4) for lap in result["laps"]],
    }


def table(results: dict[str, list[dict[str, Any]]], flops: float, peak: float) -> str:
    """Markdown: medians with the lowest and highest, ratios to TRL turn by turn, share of the matrix peak, memory."""
    lines = ["| contender | tokens/s | against TRL | MFU | peak GiB |", "|---|---|---|---|---|"]
    for name, runs in results.items():
        rates = [run["wall"] for run in runs]
        basis = [run["wall"] for run in results.get(BASIS, [])]
        ratios = [rate / other for rate, other in zip(rates, basis, strict=True)] if basis else []
        share = median(rates) * flops / peak / 1e9
        memory = median(run["peak_gib"] for run in runs)
        lines.append(f"| {name} | {spread(rates, '.0f')} | {spread(ratios, '.2f')} | {share:.0%} | {memory:.1f} |")
    return "\n".join(lines)


def spread(values: list[float], form: str) -> str:
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})" if values else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--steps", type=int, default=8, help=f"optimizer steps of a process; the first {WARMUP} are not counted"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--precision", choices=["bf16", "fp32"], help="that which is faster here by default")
    parser.add_argument("--only", help="names of contenders, separated by semicolons; all by default")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    chosen = {name: CONTENDERS[name] for name in (asked.only.split(";") if asked.only else CONTENDERS)}
    if any(str(TRL) in command for command in chosen.values()):
        make_trl()
    torch.set_num_threads(asked.threads)
    precision = asked.precision or faster(torch.device("cpu"))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with tempfile.TemporaryDirectory() as folder:
        facts = prepare(Path(folder))
        peak, results = 0.0, {name: [] for name in chosen}  # type: ignore[var-annotated]
        for turn in range(asked.rounds):
            peak = max(peak, fastest(dtype=dtype))
            for name, command in chosen.items():
                results[name].append(measure(name, command, Path(folder), asked.steps, asked.threads, precision))
                print(f"{turn + 1}/{asked.rounds} {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    shown = (
        f"{table(results, facts['flops_per_token'], peak)}\n\n"
        f"{facts['conversations']} conversations of at most {facts['longest']} tokens, {facts['tokens']} in all, "
        f"{facts['trained']:.0%} of them trained; {asked.threads} threads; matrix peak {peak:.0f} GFLOP/s in "
        f"{precision}; {asked.rounds} processes each, {asked.steps - WARMUP} steps counted. "
        "MFU: 6 FLOP for each weight and token."
    )
    print(shown)
    if asked.out:
        figures = {"facts": facts, "peak_gflops": peak, "load": os.getloadavg(), "results": results, "table": shown}
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
