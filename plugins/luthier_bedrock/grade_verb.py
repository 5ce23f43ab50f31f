"""`luthier bedrock grade FILE --function my_grader.lambda_handler`: a grader, called as the service calls it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from luthier.api import DataError

if TYPE_CHECKING:
    from luthier.api import Call


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="rows of RFT; answers are their last turns, or the references")
    parser.add_argument(
        "--function", required=True, metavar="MODULE.NAME", help="the handler, of this folder or installed"
    )
    parser.add_argument("--batch", type=int, default=64, metavar="N", help="samples of one call (default: 64)")


def act(call: Call) -> int:
    from luthier_bedrock.grading import grade, handler_named, samples_of_file

    given = call.arguments
    grades = grade(handler_named(given.function), samples_of_file(given.file), max(1, given.batch))
    lines = [f"{where}: {reason}" for where, reason in grades.faults]
    lines.append(grades.summary())
    call.console.data("\n".join(lines), grades.as_json())
    return DataError.code if grades.faults else 0
