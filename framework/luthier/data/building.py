"""From examples to blocks on the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import Row
from luthier.contracts.examples import Example
from luthier.data import ledger
from luthier.data.blocks import Writer
from luthier.data.chunks import Chunk
from luthier.data.encoding.codec import Codec
from luthier.data.overlong import split_row, truncated_row
from luthier.data.packing import best_fit, one_each
from luthier.data.rows import Encode, encoded
from luthier.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Overlong = Literal["error", "truncate", "drop", "split"]

_NAMED = 100  # places that are kept of each kind of event
_SAMPLE = 16  # rows whose tokens are looked at one by one


@dataclass(slots=True)
class Recipe:
    """What blocks are made with."""

    encode: Encode
    tokenizer: PreTrainedTokenizerBase
    length: int = 1024
    packing: bool = True
    overlong: Overlong = "error"


@dataclass(slots=True)
class Facts:
    """What happened on the way: counts, and where; kept with the blocks and shown in the report."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def note(self, what: str, where: str) -> None:
        self.counts[what] += 1
        named = self.places.setdefault(what, [])
        if len(named) < _NAMED:
            named.append(where)

    def as_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "places": self.places, "findings": self.findings}


def build(folder: Path, examples: Sequence[Example], recipe: Recipe, *, split: str) -> None:
    """Encode the examples of a split, settle what is too long, pack, and write blocks into an empty folder.

    Counted are: `overlong` rows, of which `truncated`, `dropped` or `split` into pieces; `truncated_answers`, which
    lost trained tokens; `untrainable` rows, left out as a sequence of theirs has nothing to predict; `special_text`
    and `moved_boundaries` as the encoder counts them. DataError where a row is too long and that is an error, and where
    nothing is left.
    """
    facts, writer = Facts(), Writer(folder)
    codec = Codec.of(recipe.tokenizer)
    before = Counter(codec.counts)
    longest, number = 0, 0
    every = max(1, len(examples) // _SAMPLE)
    for chunk in encoded(examples, recipe.encode, recipe.tokenizer, split=split):
        numbers = np.arange(number, number + len(chunk.rows))
        longest = max(longest, int(chunk.lengths.max()))
        for at in range(-number % every, len(chunk.rows), every):
            if len(chunk.rows[at]) > recipe.length and recipe.overlong in ("error", "drop"):
                continue
            seen = looked_at(examples[number + at], chunk.rows[at], recipe)
            facts.findings.append({"where": seen.where, "found": [finding.as_json() for finding in seen.findings]})
        number += len(chunk.rows)
        chunk, numbers = _settled(chunk, numbers, examples, recipe, facts)
        writer.add(chunk, numbers)
        facts.counts.update(rows=len(numbers), tokens=int(chunk.lengths.sum()), trained=int(chunk.trained.sum()))
    facts.counts.update({name: count - before[name] for name, count in codec.counts.items()})
    _check(facts, recipe, longest, split)
    groups = (best_fit if recipe.packing else one_each)(writer.lengths, recipe.length)
    facts.counts["blocks"] = len(groups)
    writer.close(groups, facts.as_json())


def looked_at(example: Example, row: Row, recipe: Recipe) -> ledger.Ledger:
    """The token ledger of an example as it will be trained on; an error of its own where it is too long for that."""
    if len(row) <= recipe.length:
        return ledger.inspect(example, row, recipe.tokenizer)
    if recipe.overlong == "truncate":
        kept = truncated_row(row, recipe.length)
        lost = int(Chunk([row]).trained.sum() - Chunk([kept]).trained.sum())
        return ledger.inspect(example, kept, recipe.tokenizer, lost=lost)
    if recipe.overlong == "split":
        return ledger.inspect(example, split_row(row, recipe.length)[-1], recipe.tokenizer)
    seen = ledger.inspect(example, row, recipe.tokenizer)
    said = f"It has {len(row)} tokens, more than batch.length={recipe.length}, and "
    said += "ends the run." if recipe.overlong == "error" else "is left out."
    finding = ledger.Finding("error", "overlong", said, "Raise batch.length, or set batch.overlong.")
    return replace(seen, findings=[finding, *seen.findings])


def _settled(
    chunk: Chunk, numbers: NDArray[np.int64], examples: Sequence[Example], recipe: Recipe, facts: Facts
) -> tuple[Chunk, NDArray[np.int64]]:
    """The rows that will be trained on, and the numbers of their examples."""
    if chunk.trainable.all() and int(chunk.lengths.max()) <= recipe.length:
        return chunk, numbers
    places = [str(examples[number].get("where", f"example {number + 1}")) for number in numbers]
    kept = [_settled_row(row, recipe, facts, where) for row, where in zip(chunk.rows, places, strict=True)]
    return Chunk([row for rows in kept for row in rows]), np.repeat(numbers, [len(rows) for rows in kept])


def _settled_row(row: Row, recipe: Recipe, facts: Facts, where: str) -> list[Row]:
    """The row as it will be trained on: itself, what is left of it, its pieces, or nothing."""
    if not Chunk([row]).trainable[0]:
        facts.note("untrainable", where)
        return []
    if len(row) <= recipe.length:
        return [row]
    facts.note("overlong", where)
    return _SETTLED[recipe.overlong](row, recipe.length, facts, where)


def _dropped(row: Row, length: int, facts: Facts, where: str) -> list[Row]:
    facts.note("dropped", where)
    return []


def _truncated(row: Row, length: int, facts: Facts, where: str) -> list[Row]:
    kept = truncated_row(row, length)
    facts.note("truncated", where)
    after = Chunk([kept])
    if after.trained.sum() < Chunk([row]).trained.sum():
        facts.note("truncated_answers", where)
    if after.trainable[0]:
        return [kept]
    facts.note("untrainable", where)
    return []


def _split(row: Row, length: int, facts: Facts, where: str) -> list[Row]:
    facts.note("split", where)
    return [piece for piece in split_row(row, length) if Chunk([piece]).trainable[0]]


_SETTLED = {"error": _dropped, "drop": _dropped, "truncate": _truncated, "split": _split}


def _check(facts: Facts, recipe: Recipe, longest: int, split: str) -> None:
    counts, places = facts.counts, facts.places
    if counts["overlong"] and recipe.overlong == "error":
        raise DataError(
            f"{counts['overlong']} {split} examples are longer than batch.length={recipe.length} tokens; the longest "
            f"has {longest}.",
            where=places["overlong"][0],
            hint=f"Set batch.length={longest}, or batch.overlong=truncate, drop or split.",
        )
    if counts["rows"]:
        return
    if counts["untrainable"]:
        raise DataError(
            f"No {split} example has a token to train on: {_template(recipe)} and the weights of the messages leave "
            "every token out of the loss.",
            where=places["untrainable"][0],
            hint="See the tokens with `luthier preview`, or choose model.chat_template=chatml.",
        )
    raise DataError(
        f"All {counts['overlong']} {split} examples are longer than batch.length={recipe.length} and were dropped.",
        where=places["overlong"][0],
        hint=f"Set batch.length={longest}.",
    )


def _template(recipe: Recipe) -> str:
    if recipe.tokenizer.chat_template is None:
        return "the method's encoding"
    name = Codec.of(recipe.tokenizer).template.name
    return name[:1].lower() + name[1:]
