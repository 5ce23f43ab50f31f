"""From examples to blocks on the disk."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import Progress

from luthier.data import ledger
from luthier.data.blocks import Writer
from luthier.data.encode.codec import Codec
from luthier.data.overlong import trainable, trained, truncated
from luthier.data.packing import best_fit, one_each
from luthier.errors import DataError, LuthierError, PluginError
from luthier.parts import Example, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Encode = Callable[[Example, Any], Row]
Overlong = Literal["error", "truncate", "drop"]

_CHUNK = 64  # examples that a thread encodes before it hands them over
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

    Counted are: `overlong` rows, of which `truncated` or `dropped`; `truncated_answers`, which lost trained tokens;
    `untrainable` rows, left out as a sequence of theirs has nothing to predict; `special_text` and
    `moved_boundaries` as the encoder counts them. DataError where a row is too long and that is an error, and where
    nothing is left.
    """
    facts, writer = Facts(), Writer(folder)
    unusual, before = Codec.of(recipe.tokenizer).counts, Counter(Codec.of(recipe.tokenizer).counts)
    longest = 0
    every = max(1, len(examples) // _SAMPLE)
    for number, row in enumerate(_encoded(examples, recipe, split)):
        where = str(examples[number].get("where", f"{split} example {number + 1}"))
        longest = max(longest, len(row))
        kept = _settled(row, recipe, facts, where)
        if kept is None:
            continue
        writer.add(kept, number)
        facts.counts.update(rows=1, tokens=len(kept), trained=trained(kept))
        if number % every == 0:
            seen = ledger.inspect(examples[number], kept, recipe.tokenizer, lost=trained(row) - trained(kept))
            facts.findings.append({"where": where, "found": [finding.as_json() for finding in seen.findings]})
    facts.counts.update({name: count - before[name] for name, count in unusual.items()})
    _check(facts, recipe, longest, split)
    groups = (best_fit if recipe.packing else one_each)(np.asarray(writer.lengths, dtype=np.int64), recipe.length)
    facts.counts["blocks"] = len(groups)
    writer.close(groups, facts.as_json())


def _settled(row: Row, recipe: Recipe, facts: Facts, where: str) -> Row | None:
    """The row as it will be trained on, or None where it is left out."""
    if not trainable(row):
        facts.note("untrainable", where)
        return None
    if len(row) <= recipe.length:
        return row
    facts.note("overlong", where)
    if recipe.overlong != "truncate":
        facts.note("dropped", where)
        return None
    kept = truncated(row, recipe.length)
    facts.note("truncated", where)
    if trained(kept) < trained(row):
        facts.note("truncated_answers", where)
    if not trainable(kept):
        facts.note("untrainable", where)
        return None
    return kept


def _check(facts: Facts, recipe: Recipe, longest: int, split: str) -> None:
    counts, places = facts.counts, facts.places
    if counts["overlong"] and recipe.overlong == "error":
        raise DataError(
            f"{counts['overlong']} {split} examples are longer than batch.length={recipe.length} tokens; the longest "
            f"has {longest}.",
            where=places["overlong"][0],
            hint=f"Set batch.length={longest}, or batch.overlong=truncate or drop.",
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


def _encoded(examples: Sequence[Example], recipe: Recipe, split: str) -> Iterator[Row]:
    """The rows in order. Threads encode ahead of the reader by a few chunks, as the tokenizer works outside the GIL."""
    threads = min(8, os.cpu_count() or 1)
    chunks = iter(range(0, len(examples), _CHUNK))
    console = Console(stderr=True)
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="encode") as pool,
        Progress(
            console=console, transient=True, disable=not console.is_terminal or not sys.stderr.isatty()
        ) as progress,
    ):
        bar = progress.add_task(f"encoding {split}", total=len(examples))

        def started(begin: int) -> Future[list[Row]]:
            return pool.submit(lambda: [_row(example, recipe) for example in examples[begin : begin + _CHUNK]])

        waiting = deque(started(begin) for begin in islice(chunks, 2 * threads))
        try:
            while waiting:
                rows = waiting.popleft().result()
                waiting.extend(started(begin) for begin in islice(chunks, 1))
                yield from rows
                progress.advance(bar, len(rows))
        finally:
            for future in waiting:
                future.cancel()


def _row(example: Example, recipe: Recipe) -> Row:
    """One example encoded and checked; DataError names the example where encoding fails."""
    where = str(example.get("where", ""))
    name = getattr(recipe.encode, "__qualname__", type(recipe.encode).__qualname__)
    try:
        row = recipe.encode(example, recipe.tokenizer)
    except LuthierError as error:
        error.where = error.where or where
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{name} cannot encode this example: {type(error).__name__}: {error}.",
            where=where,
            hint=f"It has {', '.join(key for key in example if key != 'where')}; does the method fit the data?",
        ) from error
    for sequence in row.sequences:
        ids, weights = sequence.ids, sequence.weights
        if not len(ids) or ids.shape != weights.shape or weights[0] or not np.isfinite(weights).all():
            raise PluginError(
                f"{name} gave a sequence that is empty, has ids and weights of different lengths, weighs its first "
                "token, or has a weight that is not finite.",
                where=where,
            )
    return row
