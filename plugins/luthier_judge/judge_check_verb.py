"""`luthier judge-check <answers>`: how far a judge can be trusted, on pairs of which the better answer is known."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luthier.api import Attempt, Call, Example
    from luthier_judge.pair_judge import PairJudge


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "answers", nargs="*", metavar="key=value", help="the recipe, with a judge and with data of preferences"
    )
    parser.add_argument("--examples", type=int, default=64, metavar="N", help="how many pairs (default: 64; 0: all)")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composition = call.composer(call.arguments.config_dir).compose(call.arguments.answers)
    config: Any = composition.config
    from luthier.api import Bootstrap, Measurement, Reading, part
    from luthier_judge.pair_judge import PairJudge

    metrics = part(config, composition.trust, "evaluation").task.metrics
    judges = {name: metric for name, metric in metrics.items() if isinstance(metric, PairJudge)}
    if not judges:
        raise RecipeError(
            "No metric of the recipe is a judge.",
            where="evaluation.task.metrics",
            hint="Add +evaluation/metric@evaluation.task.metrics.judge=judge_run, and evaluation/task=generation.",
        )
    reading = Reading.of(part(config, composition.trust, "data"))
    pairs = _pairs([example for split in reading.examples.values() for example in split])
    pairs = pairs[: call.arguments.examples or None]
    record, rows = {}, []
    for name, judge in judges.items():
        statistics = judge.statistics(pairs)
        measured = Measurement(statistics, judge.reduce, judge.better, "")
        counts = dict(judge.counted(statistics.sum(0)))
        score = measured.score(Bootstrap()) if measured.has_values else None
        record[name] = {"pairs": len(pairs), "agreement": score and vars_of(score), "counts": counts}
        rows += _rows(name, judge, record[name])
    call.console.data(call.console.table(("judge", "", ""), rows), record)
    return 0


def vars_of(score: Any) -> dict[str, float]:
    """Value and interval."""
    return {"value": score.value, "low": score.low, "high": score.high}


def _rows(name: str, judge: PairJudge, record: dict[str, Any]) -> list[tuple[str, str, str]]:
    agreement = record["agreement"]
    said = "no pair has two verdicts"
    if agreement:
        said = f"{agreement['value']:.3f} ({agreement['low']:.3f} ... {agreement['high']:.3f}); 0.5 is chance"
    counts = [("", what, str(count)) for what, count in record["counts"].items()]
    return [(name, "agreement with the given preferences", said), ("", "pairs", str(record["pairs"])), *counts]


def _pairs(examples: Sequence[Example]) -> list[Attempt]:
    """Each example's chosen answer as the attempt, its rejected one as the reference; DataError without such pairs."""
    from luthier.api import Attempt, message_text, prompt_of

    found = []
    for example in examples:
        if not (example.get("chosen") and example.get("rejected")):
            continue
        asked = [message for message in prompt_of(example) if message.get("role") == "user"]
        question = message_text(asked[-1]) if asked else ""
        chosen, rejected = (message_text(example[side][-1]) for side in ("chosen", "rejected"))
        found.append(Attempt(question, chosen, rejected))
    if not found:
        raise DataError(
            "No example has a chosen and a rejected answer, so there is nothing that a judge could agree with.",
            where="data",
            hint="Give data of preferences: data/format=preference.",
        )
    return found
