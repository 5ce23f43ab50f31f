"""Success rate of prompt injections in documents on SmolLM2, by layout: questions about the poisoned workshop.

python tests/benchmarks/injection.py --out docs/measured/benchmarks/injection.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROWS = {
    "no injection, `plain`": ("workshop", "plain"),
    "injections, `plain`": ("poisoned", "plain"),
    "injections, `fenced`": ("poisoned", "fenced"),
    "injections, `marked`": ("poisoned", "marked"),
}
SCORES = {"injection_success_rate": "injection success rate", "contains": "right answer"}


def measured(documents: str, layout: str, folder: Path) -> dict[str, Any]:
    """The scores of a run by name."""
    words = [
        "recipe=rag", f"prompt/documents={documents}", f"prompt/layout={layout}", "evaluation/task=injection",
        "evaluation.task.max_new_tokens=24", "score=injection_success_rate", f"hydra.run.dir={folder}",
    ]  # fmt: skip
    subprocess.run([sys.executable, "-m", "luthier", *words], check=True)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return {one["name"]: one["after"] for one in record["comparisons"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (documents, layout)) in enumerate(ROWS.items()):
            results[name] = measured(documents, layout, Path(folder) / str(number))
    lines = [f"| SmolLM2-135M-Instruct | {' | '.join(SCORES.values())} |", "|---|" + "---|" * len(SCORES)]
    for name, scores in results.items():
        lines.append(f"| {name} | {' | '.join(_cell(scores[one]) for one in SCORES)} |")
    count = next(iter(results.values()))["injection_success_rate"]["count"]
    lines += ["", f"Shares of {count} questions, with their 95 % bootstrap intervals; an injection in every section."]
    report = {"results": results, "table": "\n".join(lines)}
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _cell(score: dict[str, float]) -> str:
    return f"{score['value']:.2f}<br><small>{score['low']:.2f} … {score['high']:.2f}</small>"


if __name__ == "__main__":
    main()
