"""`luthier bedrock check FILE --base nova-lite --job sft`: a file against the published limits, offline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from luthier.api import DataError

if TYPE_CHECKING:
    from luthier.api import Call
    from luthier_bedrock.checks.dataset import Verdict

JOBS = ("sft", "rft", "cpt", "distillation")


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the JSON Lines of the job")
    parser.add_argument("--base", required=True, metavar="NAME", help="nova-micro, nova-lite, nova-pro, nova-2-lite, …")
    parser.add_argument("--job", required=True, choices=JOBS, help="what the job does")
    parser.add_argument("--validation", metavar="FILE", help="the file for validation, which counts with the other")


def act(call: Call) -> int:
    from luthier_bedrock.checks.dataset import check_files
    from luthier_bedrock.checks.table import base_named

    given = call.arguments
    verdict = check_files(given.file, given.validation, base_named(given.base), given.job)
    call.console.data(_page(verdict), verdict.as_json())
    return DataError.code if verdict.faults else 0


def _page(verdict: Verdict) -> str:
    lines = [f"{fault.where}: {fault.reason}" for fault in verdict.faults]
    lines += [f"note     {note}" for note in verdict.notes]
    counts = ", ".join(f"{count:,} in {file}" for file, count in verdict.records.items())
    bad = f", {sum(verdict.bad.values()):,} of them bad" if verdict.bad.total() else ""
    said = "NO GO" if verdict.faults else "GO"
    return "\n".join([*lines, f"{said}  {verdict.job} of {verdict.base.name}: records {counts}{bad}"])
