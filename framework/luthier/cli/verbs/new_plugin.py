"""`luthier new-plugin NAME --kind KIND`: write a package with a part of each kind, typed and tested, that works."""

from __future__ import annotations

import argparse
from pathlib import Path

from luthier.cli.call import Call
from luthier.errors import RecipeError
from luthier.workflows.new_plugin.kinds import KINDS, kind_named


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="of the distribution, and of the folder to write")
    parser.add_argument(
        "--kind",
        metavar="KIND",
        dest="kinds",
        action="append",
        default=[],
        type=_kind,
        choices=[kind.name for kind in KINDS],
        help="of a part that it shall bring; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="list the kinds, and write nothing")


def _kind(name: str) -> str:
    return kind_named(name).name


def act(call: Call) -> int:
    given = call.arguments
    if given.list:
        return _list(call)
    if not given.name or not given.kinds:
        lacks = "a NAME" if not given.name else "a --kind"
        raise RecipeError(f"luthier new-plugin needs {lacks}.", hint="`luthier new-plugin --list` lists the kinds.")
    from luthier.workflows.new_plugin.names import Names
    from luthier.workflows.new_plugin.writing import write

    kinds = [kind_named(name) for name in dict.fromkeys(given.kinds)]
    names = Names.of(given.name)
    names.refuse_taken(kinds, call.plugins, call.catalog())
    folder = Path(names.distribution)
    written = write(names, kinds, folder)
    commands = [f"cd {folder}", "python -m pip install -e '.[test]'", "pytest", f"luthier plugin-check {folder}"]
    record = {"folder": str(folder), "package": names.package, "files": list(map(str, written)), "next": commands}
    call.console.data("\n".join([*map(str, written), "", *(f"  {command}" for command in commands)]), record)
    return 0


def _list(call: Call) -> int:
    rows = [(kind.name, kind.question or "a hook", kind.does) for kind in KINDS]
    records = [{"kind": kind.name, "question": kind.question, "does": kind.does} for kind in KINDS]
    call.console.data(call.console.table(("kind", "question", "what it says"), rows), records)
    return 0
