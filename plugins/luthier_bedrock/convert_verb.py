"""`luthier bedrock convert FILE --to KIND --output OUT`: files of Bedrock both ways, and what is lost is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import RecipeError

if TYPE_CHECKING:
    from luthier.api import Call
    from luthier_bedrock.files.kinds import FileKind
    from luthier_bedrock.files.row_by_row import Located, Written


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", nargs="+", metavar="FILE", help="a file of Bedrock or luthier, or a recipe's data=…")
    parser.add_argument("--to", required=True, metavar="KIND", help="the kind of the file that is written")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="where it is written")
    parser.add_argument("--from", dest="kind", metavar="KIND", help="the kind that is read (default: detected)")
    parser.add_argument("--split", default="all", metavar="NAME", help="of a recipe's data: train, … (default: all)")
    parser.add_argument("--model-id", metavar="ID", help="for --to log: the model that gave the answers")
    parser.add_argument("--config-dir", metavar="DIR", help="a further folder of recipes")


def act(call: Call) -> int:
    from luthier_bedrock.files.kinds import kind_named
    from luthier_bedrock.files.writing import write_lines

    given = call.arguments
    kind = kind_named(given.to, "--to")
    rows = _with_model(_rows(call), given.model_id)
    lost: dict[str, list[str]] = {}
    count = write_lines(given.output, _noting(kind.lines_of(rows), lost))
    for path, places in lost.items():
        left_out = f"it is left out of {_counted(len(places), 'row')}, first {places[0]}"
        call.console.say(f"warning: {kind.name} cannot say {path}; {left_out}")
    facts: dict[str, Any] = {"file": str(given.output), "kind": kind.name, "lines": count}
    facts["lost"] = {path: {"rows": len(places), "first": places[0]} for path, places in lost.items()}
    call.console.data(f"{_counted(count, 'line')} in {given.output}, for {kind.purpose}.", facts)
    return 0


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _rows(call: Call) -> Iterator[Located]:
    from luthier_bedrock.files.kinds import kind_named
    from luthier_bedrock.files.reading import rows_of_file, rows_of_recipe

    given = call.arguments
    kind: FileKind | None = kind_named(given.kind, "--from") if given.kind else None
    if any("=" in word and not Path(word).is_file() for word in given.data):
        if kind is not None:
            raise RecipeError("--from is for a file; the data of a recipe says its own format.", where="--from")
        return rows_of_recipe(call.composer(given.config_dir).compose(given.data), given.split)
    if len(given.data) > 1:
        raise RecipeError("One file is converted at a time.", where=given.data[1])
    return rows_of_file(given.data[0], kind)


def _with_model(rows: Iterable[Located], model: str | None) -> Iterator[Located]:
    from luthier_bedrock.files.log import MODEL
    from luthier_bedrock.files.row_by_row import Located

    for located in rows:
        yield Located({**located.row, MODEL: model}, located.where) if model else located


def _noting(written: Iterable[Written], lost: dict[str, list[str]]) -> Iterator[Any]:
    for one in written:
        for path in one.lost:
            lost.setdefault(path, []).append(one.where)
        yield one.line
