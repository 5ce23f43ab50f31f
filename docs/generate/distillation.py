"""Draw docs/pictures/distillation.svg: what a student learns with and without its teacher, from docs/measured.

`python docs/generate/distillation.py RUN …` first takes over finished runs, whose folders are named after arm and
seed (`distilled0`, `hard0`, …), into docs/measured/benchmarks/distillation.json; without runs it draws what is there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from luthier.reporting.chart import ticks

DOCS = Path(__file__).parents[1]
FILE, PICTURE = DOCS / "measured" / "benchmarks" / "distillation.json", DOCS / "pictures" / "distillation.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 320, 56, 500, 32, 276
COLOURS = {"distilled": "#0b6e4f", "hard": "#b3541e"}
NAMES = {"distilled": "with the teacher", "hard": "without"}
OVER = 10
"""Steps that a point of the curve is the mean of; as many at the beginning are left out."""
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # quantiles 0.975 of the t distribution, by degrees of freedom


def taken(run: Path) -> dict[str, Any]:
    """Held-out scores and the curve of -log q of the text's own tokens, on text that was not seen before."""
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    tokens, curve = 0, []
    for line in lines:
        tokens += line["tokens"]
        curve.append([tokens, round(line["cross_entropy"], 4)])
    scores = {one["name"]: one["after"] for one in record["comparisons"] if one["after"]}
    return {
        "command": record["command"],
        "scores": {"loss": scores["loss"]},
        "tokens": tokens,
        "seconds": record["training"]["seconds"],
        "curve": curve,
    }


def picture(runs: dict[str, Any]) -> str:
    arms = {arm: [one for name, one in runs.items() if re.fullmatch(rf"{arm}\d+", name)] for arm in COLOURS}
    curves = {arm: _smooth([one["curve"] for one in found]) for arm, found in arms.items()}
    points = [point for curve in curves.values() for point in curve]
    low, high = min(value for _, value in points), max(value for _, value in points)
    end = max(tokens for tokens, _ in points)
    y_ticks, x_ticks = ticks(low, high, 5), [tick for tick in ticks(0, end, 5) if tick <= end]

    def place(tokens: float, value: float) -> str:
        x = LEFT + (RIGHT - LEFT) * tokens / end
        y = BOTTOM - (BOTTOM - TOP) * (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return f"{x:.1f},{y:.1f}"

    ink = []
    for tick in y_ticks:
        x, y = place(0, tick).split(",")
        ink.append(f'<line x1="{x}" y1="{y}" x2="{RIGHT}" y2="{y}" class="grid"/>')
        ink.append(f'<text x="{LEFT - 8}" y="{float(y) + 4}" text-anchor="end">{tick:g}</text>')
    for tick in x_ticks:
        x, _ = place(tick, y_ticks[0]).split(",")
        ink.append(f'<text x="{x}" y="{BOTTOM + 18}" text-anchor="middle">{tick / 1000:g}k</text>')
    last = {arm: curve[-1][1] for arm, curve in curves.items()}
    upper = max(last, key=lambda arm: last[arm])
    for arm, curve in curves.items():
        ink.append(f'<polyline points="{" ".join(place(*point) for point in curve)}" stroke="{COLOURS[arm]}"/>')
        _, y = place(0, last[arm]).split(",")
        beside = float(y) + (-4 if arm == upper else 14)
        ink.append(f'<text x="{RIGHT + 8}" y="{beside}" style="fill:{COLOURS[arm]}">{NAMES[arm]}</text>')
    ink.append(f'<text x="{LEFT + 10}" y="{TOP - 10}">loss on text that is new to it, nats a token</text>')
    ink.append(f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">tokens trained on</text>')
    style = (
        "text{font:13px system-ui,sans-serif;fill:#444}polyline{fill:none;stroke-width:1.6;stroke-opacity:.8}"
        ".grid{stroke:#ddd}"
    )
    said = "The student's loss on text that is new to it, over the tokens trained on, with the teacher and without."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f'<style>{style}</style><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(ink)}</svg>\n'
    )


def table(told: dict[str, Any]) -> str:
    """Held-out loss of each arm and their paired difference; over several seeds with Student's 95 % interval."""
    arms = {arm: [one for name, one in told["runs"].items() if re.fullmatch(rf"{arm}\d+", name)] for arm in NAMES}
    values = {arm: [one["scores"]["loss"]["value"] for one in found] for arm, found in arms.items()}
    apart = [a - b for a, b in zip(*values.values(), strict=True)]
    cells = [_said(each) for each in (*values.values(), apart)]
    first, seeds = arms["distilled"][0], len(apart)
    said = f"{first['tokens']:,} tokens each; {first['scores']['loss']['count']} held-out passages. "
    said += "One seed. " if seeds == 1 else f"Means over {seeds} seeds, with 95 % intervals (Student's t). "
    low, high = told["paired"]
    said += (
        f"Over the passages of the first seed, paired, the difference is from {low:.3f} to {high:.3f} (95 % bootstrap)."
    )
    if "live" in told:
        low, high = told["live"]["paired"]
        said += (
            f"\n\nThe first seed once more, with the teacher itself in memory: of its loss on the passages, that with "
            f"what was kept differs by {low:+.3f} to {high:+.3f} (paired, 95 % bootstrap); the curves, means of "
            f"{OVER} steps, lie at most {told['live']['apart']:.3f} apart."
        )
    head = f"| held-out loss | {' | '.join(NAMES.values())} | difference |"
    return "\n".join([head, "| --- | --- | --- | --- |", f"| nats a token | {' | '.join(cells)} |", "", said])


def paired(runs: list[Path]) -> list[float]:
    """The 95 % interval of the difference of held-out losses, by drawing the same passages for both."""
    losses = [load_file(run / "scores" / "after" / "scores.safetensors")["loss"] for run in runs]
    drawn = np.random.default_rng(0).integers(len(losses[0]), size=(10_000, len(losses[0])))
    totals = [loss[drawn].sum(1) for loss in losses]
    apart = totals[0][:, 0] / totals[0][:, 1] - totals[1][:, 0] / totals[1][:, 1]
    return [float(each) for each in np.percentile(apart, [2.5, 97.5])]


def _said(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    half = STUDENT[len(values) - 1] * stdev(values) / len(values) ** 0.5
    return f"{mean(values):.3f}<br><small>{mean(values) - half:.3f} … {mean(values) + half:.3f}</small>"


def _smooth(curves: list[list[list[float]]]) -> list[tuple[float, float]]:
    """The mean over the seeds, and over the last few steps."""
    tokens = [mean(found) for found in zip(*([at for at, _ in curve] for curve in curves), strict=True)]
    values = [mean(found) for found in zip(*([value for _, value in curve] for curve in curves), strict=True)]
    return [(tokens[at], mean(values[at - OVER + 1 : at + 1])) for at in range(2 * OVER - 1, len(values))]


def main() -> None:
    told: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {"runs": {}}
    told["runs"] |= {Path(run).name: taken(Path(run)) for run in sys.argv[1:]}
    given = {Path(run).name: Path(run) for run in sys.argv[1:]}
    if {"distilled0", "hard0"} <= given.keys():
        told["paired"] = paired([given["distilled0"], given["hard0"]])
    if {"distilled0", "live0"} <= given.keys():
        curves = [_smooth([told["runs"][name]["curve"]]) for name in ("distilled0", "live0")]
        apart = max(abs(one - other) for (_, one), (_, other) in zip(*curves, strict=True))
        told["live"] = {"paired": paired([given["distilled0"], given["live0"]]), "apart": apart}
    told["table"] = table(told)
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    PICTURE.write_text(picture(told["runs"]), encoding="utf-8")


if __name__ == "__main__":
    main()
