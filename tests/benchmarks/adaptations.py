"""The costs of each adaptation: trained weights, memory, speed and size of the artifact, on SmolLM2-135M.

Every answer to `adaptation` trains a few steps in a process of its own, by `sft` on conversations and by `cpt` on the
text of their answers, in bf16 autocast over float32 weights. They run one after the other: differences of speed below a
tenth may be noise of the machine.

    python tests/benchmarks/adaptations.py [--steps 8] [--methods sft] [--only 'lora;full'] [--tiny] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conversations import prepare

from luthier.cli.threads import SPINS
from luthier.reporting.figures import format_count, format_size, share
from luthier.testing.twin import composer

HERE = Path(__file__).parent
WARMUP = 2
REAL = ("model=folder", "model.path={folder}/model", "data=jsonl", "data.file={folder}/data.jsonl", "batch.length=1024")
TINY = ("model=tiny", "data=demo", "batch.length=256")
ALIKE = (
    "stages=[fit]",
    "trainer.precision=bf16",
    "data.splits.test=0",
    "trainer.epochs=100",
    "batch.size=1",
    "batch.micro=1",
)
METHODS = {"sft": ("method=sft",), "cpt": ("method=cpt", "data/format=turns", "data.format.role=assistant")}
OF_SEVERAL = {"mixing", "gate"}
"""Adaptations of an ensemble, not of a single network."""
OWN = {"bitfit": ("adaptation.norms=true",)}
"""Settings that a Llama-like network needs."""


def measure(answer: str, words: list[str], steps: int, threads: int) -> dict[str, Any]:
    """The figures of one process, or the error that ended it."""
    with tempfile.TemporaryDirectory() as scratch:
        run, clock = Path(scratch) / "run", Path(scratch) / "clock.json"
        command = [sys.executable, "-m", "luthier", "-p", "luthier_clock", *words, f"adaptation={answer}",
                   *OWN.get(answer, ()), f"trainer.max_steps={steps}", f"hydra.run.dir={run}"]  # fmt: skip
        environment = os.environ | {
            "BENCHMARK_OUT": str(clock),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE / "contenders")]),
            "OMP_NUM_THREADS": str(threads),
            "GOMP_SPINCOUNT": SPINS,
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=scratch)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            return {"refused": (errors or done.stderr.splitlines() or ["no message"])[-1].removeprefix("error: ")}
        timed, record = (json.loads(file.read_text(encoding="utf-8")) for file in (clock, run / "record.json"))
        saved = sum(file.stat().st_size for file in (run / "artifact").glob("*.safetensors"))
    laps = timed["laps"][WARMUP:]
    tokens = sum(lap["tokens"] for lap in laps)
    return {
        "trained": record["model"]["trained"],
        "parameters": record["model"]["parameters"],
        "saved_bytes": saved,
        "peak_gib": timed["peak_gib"],
        "wall": tokens / sum(lap["wall"] for lap in laps),
        "cpu": tokens / sum(lap["cpu"] for lap in laps) * threads,
        "losses": [round(lap["loss"], 4) for lap in timed["laps"]],
    }


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown table, the fewest weights first; refused adaptations follow with their reasons."""
    measured = {name: {by: one for by, one in each.items() if "refused" not in one} for name, each in results.items()}
    methods = [by for by in METHODS if any(by in each for each in measured.values())]
    heads = [f"{what}, {by}" for what in ("peak memory", "tokens/s") for by in methods]
    lines = [
        f"| adaptation | trained weights | share | saved | {' | '.join(heads)} |",
        "|---" * (4 + len(heads)) + "|",
    ]
    done = [(next(iter(each.values())), name, each) for name, each in measured.items() if each]
    for one, name, each in sorted(done, key=lambda row: (row[0]["trained"], row[1])):
        numbers = [
            format_count(one["trained"]),
            share(one["trained"], one["parameters"]),
            format_size(one["saved_bytes"]),
        ]
        costs = [f"{each[by]['peak_gib']:.2f} GiB" if by in each else "" for by in methods]
        speeds = [f"{each[by]['wall']:.0f}" if by in each else "" for by in methods]
        lines.append(f"| {' | '.join([f'`{name}`', *numbers, *costs, *speeds])} |")
    refused = [
        f"`{name}` was not measured with {by}: {one['refused']}"
        for name, each in results.items() for by, one in each.items() if "refused" in one
    ]  # fmt: skip
    return "\n".join([*lines, *(["", *refused] if refused else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8, help=f"of each; the first {WARMUP} are not counted")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--methods", default=";".join(METHODS), help="separated by semicolons; all by default")
    parser.add_argument("--only", help="answers, separated by semicolons; all by default")
    parser.add_argument("--tiny", action="store_true", help="a random network and the demo's data instead")
    parser.add_argument("--out", type=Path, help="a JSON file for the figures; what it holds already is not run again")
    arguments = parser.parse_args()
    every = composer().catalog.names("adaptation")
    answers = arguments.only.split(";") if arguments.only else [name for name in every if name not in OF_SEVERAL]
    kept = (
        json.loads(arguments.out.read_text(encoding="utf-8"))
        if arguments.out and arguments.out.exists()
        else {"results": {}}
    )
    results: dict[str, dict[str, dict[str, Any]]] = kept["results"]
    with tempfile.TemporaryDirectory() as folder:
        facts = {} if arguments.tiny else prepare(Path(folder))
        words = [word.format(folder=folder) for word in (*(TINY if arguments.tiny else REAL), *ALIKE)]
        for by in arguments.methods.split(";"):
            for answer in answers:
                if by in results.setdefault(answer, {}):
                    continue
                results[answer][by] = measure(answer, [*words, *METHODS[by]], arguments.steps, arguments.threads)
                print(f"{answer}, {by}: {results[answer][by]}", file=sys.stderr, flush=True)
                if arguments.out:
                    shown = report(results, arguments.tiny, arguments.threads)
                    figures = {"facts": facts, "load": os.getloadavg(), "results": results, "table": shown}
                    arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(report(results, arguments.tiny, arguments.threads))


def report(results: dict[str, dict[str, dict[str, Any]]], tiny: bool, threads: int) -> str:
    what = (
        "A random network of two layers"
        if tiny
        else "SmolLM2-135M-Instruct on conversations, with cpt on the text of their answers"
    )
    measured = [(by, one) for each in results.values() for by, one in each.items() if "refused" not in one]
    counted = dict.fromkeys(f"{len(one['losses']) - WARMUP} steps counted with {by}" for by, one in measured)
    return (
        f"{table(results)}\n\n{what}, a packed block a step, with each answer's own defaults; {threads} threads, "
        f"a process for each, {' and '.join(counted)}. Memory is that of the whole process."
    )


if __name__ == "__main__":
    main()
