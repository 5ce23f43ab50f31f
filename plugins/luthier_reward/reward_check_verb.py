"""`luthier reward-check <answers>`: what a recipe's reward pays for, before a training is paid for."""

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
            hint="Say method=grpo and method/reward=…, or a recipe that does.",
        )
    from luthier.api import Reading, instantiate, without_quarantine
    from luthier_reward.reward_check import check
    from luthier_reward.reward_runner import RewardRunner

    reading = Reading.of(instantiate(without_quarantine(config.data)))
    split = next(name for name in ("test", "validation", "train") if reading.examples.get(name))
    method = config.method
    jury = RewardRunner(
        instantiate(method.reward), timeout=method.reward_timeout, workers=method.reward_workers, most=1.0
    )
    try:
        found = check(jury, reading.examples[split][: call.arguments.examples])
    finally:
        jury.close()
    call.console.data(_page(call, found), found.as_json())
    return 0


def _page(call: Call, found: Report) -> str:
    rows = [
        (
            each.kind,
            "" if each.mean is None else f"{each.mean:.3f}",
            "" if each.share is None else f"{each.share:.0%}",
            str(each.faults or ""),
            ("pays" if each.pays else ""),
        )
        for each in found.findings
    ]
    table = call.console.table(("answer", "mean reward", "of a right one's", "faults", ""), rows)
    about = f"{found.examples} examples, {found.milliseconds:.1f} ms an answer."
    return "\n".join([str(table).rstrip(), "", *found.sentences(), about])
