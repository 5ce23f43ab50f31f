"""`luthier bedrock <what>`: one verb, and a file for each thing it does."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.api import Call

WHAT = {
    "convert": "Write a file of Bedrock from data of any kind, or read one of Bedrock as luthier's rows",
    "check": "Hold a file against the published limits of a job, offline",
    "job": "Write the request of a managed job and the Nova recipe of a run or recipe; nothing is sent",
    "grade": "Try the function that grades, called as the service calls it",
    "results": "Read what a job left as the record and the report of a run",
}


def declare(parser: argparse.ArgumentParser) -> None:
    inner = parser.add_subparsers(dest="what", required=True, metavar="what")
    for name, help_ in WHAT.items():
        _module(name).declare(inner.add_parser(name, help=help_, description=help_))


def act(call: Call) -> int:
    code: int = _module(call.arguments.what).act(call)
    return code


def _module(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return import_module(f"luthier_bedrock.{name}_verb")
