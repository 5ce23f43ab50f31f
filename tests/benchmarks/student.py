"""Latency, throughput and memory: `python tests/benchmarks/student.py STUDENT TEACHER --out FILE`.

Both are folders of finished runs. Each answers the same questions in processes of its own, in turns; ratios are taken
within a turn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sft import spread

from luthier.reporting.figures import format_size
from luthier.reporting.record import RunRecord

ROWS = {"first_token": ("s to the first token", ".3f"), "tokens_per_second": ("tokens/s", ".1f")}
SIZES = {"weights": "weights in memory", "memory": "memory of the process"}


def measured(run: Path, answers: int, tokens: int) -> dict[str, Any]:
    command = ["measure", str(run), "--answers", str(answers), "--tokens", str(tokens), "--json"]
    done = subprocess.run([sys.executable, "-m", "luthier", *command], check=True, capture_output=True, text=True)
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--answers", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = {"student": arguments.student, "teacher": arguments.teacher}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            results[name].append(measured(run, arguments.answers, arguments.tokens))
    counts = [RunRecord.load(run / "record.json").model.parameters or 0 for run in runs.values()]
    lines = ["| | student | teacher | student / teacher |", "|---|---|---|---|"]
    lines.append(f"| weights | {counts[0]:,} | {counts[1]:,} | {counts[0] / counts[1]:.2f} |")
    for key, words in SIZES.items():
        sizes = [each[0][key] for each in results.values()]
        lines.append(f"| {words} | {' | '.join(map(format_size, sizes))} | {sizes[0] / sizes[1]:.2f} |")
    for key, (words, form) in ROWS.items():
        values = {name: [one[key] for one in each] for name, each in results.items()}
        ratios = [one / other for one, other in zip(*values.values(), strict=True)]
        cells = [spread(each, form) for each in values.values()]
        lines.append(f"| {words} | {' | '.join(cells)} | {spread(ratios, '.2f')} |")
    lines += ["", f"Medians of {arguments.rounds} turns of {arguments.answers} answers, with the lowest and highest; "
              f"{results['student'][0]['device']}."]  # fmt: skip
    record = {"results": results, "table": "\n".join(lines)}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(record["table"])


if __name__ == "__main__":
    main()
