"""Texts that are longer than the positions of a network, where they are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data.overlong import truncated_row
from luthier.errors import DataError


def read_whole_or_cut(rows: Sequence[Row], longest: int) -> tuple[list[Row], int]:
    """The rows, of which texts that are judged as a whole are cut to `longest` tokens, and how many were cut."""
    cut = [truncated_row(row, longest) if _is_whole(row) and len(row) > longest else row for row in rows]
    return cut, sum(one is not row for one, row in zip(cut, rows, strict=True))


def _is_whole(row: Row) -> bool:
    """Whether it is one text to judge; texts of a pair are read apart, and tagged ones in windows."""
    return row.read_only and len(row.sequences) == 1 and row.sequences[0].labels is None


@contextmanager
def refused_beyond(examples: Sequence[Example], rows: Sequence[Row], longest: int) -> Iterator[None]:
    """DataError in place of torch's own error where a row has more tokens than the network has positions.

    A network whose positions are computed, as rotary ones are, reads such rows, and they are measured.
    """
    try:
        yield
    except (IndexError, RuntimeError) as error:
        beyond = [(len(row), example) for example, row in zip(examples, rows, strict=True) if len(row) > longest]
        if not beyond:
            raise
        length, example = beyond[0]
        raise DataError(
            f"{len(beyond)} of {len(rows)} examples are longer than the {longest} tokens that the network has "
            f"positions for, the first of them with {length}, so their loss cannot be measured.",
            where=str(example.get("where", "")),
            hint="Leave them out of the data, or choose a model with more positions.",
        ) from error
