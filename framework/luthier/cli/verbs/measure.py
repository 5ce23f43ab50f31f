"""`luthier measure RUN`: what an answer of a run's model costs: prompt, latency, tokens a second, memory, size."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="the folder of a finished run, or an artifact")
    parser.add_argument("--answers", type=int, default=8, help="how many questions of its test split are asked (8)")
    parser.add_argument("--tokens", type=int, default=32, help="at most, of each answer (32)")


def act(call: Call) -> int:
    from luthier.reporting.figures import format_number, format_size
    from luthier.workflows.comparison.inference_cost import measure

    asked = call.arguments
    vouched = tuple(call.flags.trusted)
    found = measure(asked.run, plugins=call.plugins, vouched=vouched, answers=asked.answers, tokens=asked.tokens)
    speed = (
        format_number(found.tokens_per_second) if found.tokens_per_second else "not known: no answer has a second token"
    )
    rows = [
        ("prompt", f"{format_number(found.prompt_tokens)} tokens"),
        ("answer", f"{format_number(found.answer_tokens)} tokens in {format_number(found.seconds)} s"),
        ("first token after", f"{format_number(found.first_token)} s"),
        ("tokens a second", speed),
        ("memory", f"{format_size(found.memory)}, of which weights {format_size(found.weights)}"),
        ("artifact", format_size(found.artifact)),
        ("on", f"{found.device}; medians of {found.answers} answers, one at a time"),
    ]
    call.console.data(call.console.table(("", ""), rows), found.as_json())
    return 0
