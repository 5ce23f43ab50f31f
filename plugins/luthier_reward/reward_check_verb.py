"""`luthier reward-check <answers>`: which kinds of answers a recipe's reward pays for, before training with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError

if TYPE_CHECKING:
    from luthier.api import Call
    from luthier_reward.reward_check import Report


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("answers", nargs="*", metavar="key=value", help="the recipe, as on any command line")
    parser.add_argument("--examples", type=int, default=32, metavar="N", help="how many to try it on (default: 32)")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    composition = call.composer(call.arguments.config_dir).compose(call.arguments.answers)
    config: Any = composition.config
    if "reward" not in config.method:
        raise RecipeError(
            f"method={composition.choices.get('method', '')} has no reward that could be checked.",
            where="method",
            hint="Use method=grpo and method/reward=…, or a recipe that does.",
        )
    from luthier.api import Reading, instantiate, part
    from luthier_reward.reward_check import check_reward
    from luthier_reward.reward_runner import RewardRunner

    reading = Reading.of(part(config, composition.trust, "data"))
    split = next(name for name in ("test", "validation", "train") if reading.examples.get(name))
    method = config.method
    reward = instantiate(method.reward, trust=composition.trust)
    runner = RewardRunner(reward, timeout=method.reward_timeout, workers=method.reward_workers, max_faults=1.0)
    try:
        report = check_reward(runner, reading.examples[split][: call.arguments.examples])
    finally:
        runner.close()
    call.console.data(_page(call, report), report.as_json())
    return 0


def _page(call: Call, report: Report) -> str:
    rows = [
        (
            finding.kind,
            "" if finding.mean is None else f"{finding.mean:.3f}",
            "" if finding.share is None else f"{finding.share:.0%}",
            str(finding.faults or ""),
            "pays" if finding.rewarded else "",
        )
        for finding in report.findings
    ]
    table = call.console.table(("answer", "mean reward", "of a right one's", "faults", ""), rows)
    size = f"{report.examples} examples, {report.milliseconds:.1f} ms per answer."
    return "\n".join([str(table).rstrip(), "", *report.sentences(), size])
