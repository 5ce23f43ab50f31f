"""The rows of a file of any kind, and of the data of a recipe, each with its file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.api import DataError, JsonLines, RecipeError
from luthier_bedrock.files.conversation import Row
from luthier_bedrock.files.kinds import FileKind, kind_of
from luthier_bedrock.files.row_by_row import Located

if TYPE_CHECKING:
    from luthier.api import Composition

_OF_LUTHIER = ("where", "split", "source")
"""Columns that luthier adds to examples."""


def lines_of_file(file: str) -> Iterator[tuple[str, Row | DataError]]:
    """File:line and the object of each line, or why there is none; blank lines are passed over."""
    path = Path(file)
    if not path.is_file():
        raise RecipeError(f"There is no file {file}.", where=file, hint="Is the path relative to this folder?")
    for record in JsonLines().records(path, file):
        if record.row is None:
            yield record.where, record.fault or DataError("The line cannot be read.", where=record.where)
        else:
            yield record.where, json.loads(record.raw) if isinstance(record.raw, str) else record.row


def rows_of_file(file: str, kind: FileKind | None) -> Iterator[Located]:
    """The rows of a file, of the kind of its first line where none is named; DataError for the first bad line."""
    seen = False
    for where, line in lines_of_file(file):
        if isinstance(line, DataError):
            raise line
        kind, seen = kind or kind_of(line, where), True
        try:
            yield from (Located(row, where) for row in kind.rows_of(line))
        except DataError as fault:
            fault.where = where
            fault.hint = fault.hint or f"All lines of a file are of one kind; this one is read as {kind.name}."
            raise
    if not seen:
        raise DataError("The file has no line.", where=file)


def rows_of_recipe(composition: Composition, split: str) -> Iterator[Located]:
    """The examples of a recipe's data, without what luthier adds to them."""
    from luthier.api import Reading, part

    reading = Reading.of(part(composition.config, composition.trust, "data"))
    examples: list[Any] = [one for name, of in reading.examples.items() if split in ("all", name) for one in of]
    if not examples:
        raise DataError(f"The data has no example in the split {split}.", hint="Say --split all, or another one.")
    for example in examples:
        row = {name: value for name, value in example.items() if name not in _OF_LUTHIER}
        yield Located(row, str(example.get("where", "")))
