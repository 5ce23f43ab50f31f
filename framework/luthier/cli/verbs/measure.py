"""`luthier measure RUN`: measure the inference cost of a run's model: latency, tokens/s, memory, size."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run, or an artifact")
    parser.add_argument("--answers", type=int, default=8, help="number of prompts taken from its test split (8)")
    parser.add_argument("--tokens", type=int, default=32, help="at most, of each answer (32)")


def act(call: Call) -> int:
    from luthier.reporting.figures import format_number, format_size
    from luthier.workflows.comparison.inference_cost import measure

    arguments = call.arguments
    vouched = tuple(call.flags.trusted)
    costs = measure(
        arguments.run, plugins=call.plugins, vouched=vouched, answers=arguments.answers, tokens=arguments.tokens
    )
    speed = format_number(costs.tokens_per_second) if costs.tokens_per_second else "unknown: no answer has two tokens"
    rows = [
        ("prompt", f"{format_number(costs.prompt_tokens)} tokens"),
        ("answer", f"{format_number(costs.answer_tokens)} tokens in {format_number(costs.seconds)} s"),
        ("first token after", f"{format_number(costs.first_token)} s"),
        ("tokens a second", speed),
        ("memory", f"{format_size(costs.memory)}, of which weights {format_size(costs.weights)}"),
        ("artifact", format_size(costs.artifact)),
        ("on", f"{costs.device}; medians of {costs.answers} answers, one at a time"),
    ]
    call.console.data(call.console.table(("", ""), rows), costs.as_json())
    return 0
