"""From examples to encoded blocks on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import WHOLE, Row
from luthier.contracts.examples import Example
from luthier.data import ledger
from luthier.data.blocks import BlocksWriter
from luthier.data.chunks import Chunk
from luthier.data.encoding.codec import Codec
from luthier.data.overlong import split_row, truncated_row
from luthier.data.packing import best_fit, one_each
from luthier.data.rows import Encode, EncodedChunk, encoded
from luthier.data.turn_examples import EncodedTurn
from luthier.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Overlong = Literal["error", "truncate", "drop", "split"]

_MOST_PLACES = 100  # of each kind of event
_SAMPLE = 16  # rows of a split that are inspected token by token


@dataclass(slots=True)
class EncodingSettings:
    """The encode function, the tokenizer and the settings with which blocks are made; `length` counts tokens."""

    encode: Encode
    tokenizer: PreTrainedTokenizerBase
    length: int = 1024
    packing: bool = True
    overlong: Overlong = "error"


@dataclass(slots=True)
class EncodingFacts:
    """Counts of events while blocks were made, the places of each, and the findings in inspected examples.

    They are stored with the blocks and shown in the report.
    """

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def note(self, event: str, where: str) -> None:
        """Count an event at a place."""
        self.counts[event] += 1
        places = self.places.setdefault(event, [])
        if len(places) < _MOST_PLACES:
            places.append(where)

    def as_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "places": self.places, "findings": self.findings}


def build(folder: Path, examples: Sequence[Example], settings: EncodingSettings, *, split: str) -> None:
    """Encode the examples of a split, apply `overlong`, pack rows into blocks, and write these into an empty folder.

    Counted are `overlong` rows, of which `truncated`, `dropped` or `split` into pieces; `truncated_answers`, rows that
    lost trained tokens; `untrainable` rows, left out as one of their sequences has no trained token; `truncated_away`
    are those of `untrainable` that lost all of an answer; `turns_apart`, conversations whose turns the template does
    not render in one text; `turn_examples`, the examples of one turn that conversations became; `special_text`,
    `moved_boundaries` and `left_out: …` (`Codec`). DataError where a row is too long and `overlong` is error, and where
    no row is left.
    """
    facts, writer = EncodingFacts(), BlocksWriter(folder)
    codec = Codec.of(settings.tokenizer)
    before = Counter(codec.counts)
    longest = 0
    every = max(1, len(examples) // _SAMPLE)
    for made in encoded(examples, settings.encode, settings.tokenizer, split=split):
        longest = max(longest, int(made.rows.lengths.max()))
        _note_turns(made, facts)
        for number, turn in zip(made.numbers.tolist(), made.turns, strict=True):
            too_long = len(turn.row) > settings.length and settings.overlong in ("error", "drop")
            if number % every or too_long:
                continue
            inspected = inspect_as_trained(turn.example, turn.row, settings)
            facts.findings.append(
                {"where": inspected.where, "found": [finding.as_json() for finding in inspected.findings]}
            )
        chunk, places = _without_overlong(made, settings, facts)
        writer.add(chunk, made.numbers[places], made.after[places])
        facts.counts.update(rows=len(places), tokens=int(chunk.lengths.sum()), trained=int(chunk.trained.sum()))
    facts.counts.update({name: count - before[name] for name, count in codec.counts.items()})
    _check(facts, settings, longest, split)
    groups = (best_fit if settings.packing else one_each)(writer.lengths, settings.length)
    facts.counts["blocks"] = len(groups)
    writer.close(groups, facts.as_json())


def inspect_as_trained(example: Example, row: Row, settings: EncodingSettings) -> ledger.Ledger:
    """The token ledger of an example after `overlong` is applied; it has an error where the row is not trained on."""
    if len(row) <= settings.length:
        return ledger.inspect(example, row, settings.tokenizer)
    if settings.overlong == "truncate":
        truncated = truncated_row(row, settings.length)
        lost = int(Chunk([row]).trained.sum() - Chunk([truncated]).trained.sum())
        return ledger.inspect(example, truncated, settings.tokenizer, lost=lost)
    if settings.overlong == "split":
        return ledger.inspect(example, split_row(row, settings.length)[-1], settings.tokenizer)
    whole = ledger.inspect(example, row, settings.tokenizer)
    outcome = "ends the run" if settings.overlong == "error" else "is left out"
    message = f"It has {len(row)} tokens, more than batch.length={settings.length}, and {outcome}."
    finding = ledger.Finding("error", "overlong", message, "Raise batch.length, or set batch.overlong.")
    return replace(whole, findings=[finding, *whole.findings])


def _note_turns(made: EncodedChunk, facts: EncodingFacts) -> None:
    cut = [
        (number, turn) for number, turn in zip(made.numbers.tolist(), made.turns, strict=True) if turn.after != WHOLE
    ]
    facts.counts["turn_examples"] += len(cut)
    apart = {number: _place(turn, number) for number, turn in cut if not turn.asked}
    for where in apart.values():
        facts.note("turns_apart", where)


def _place(turn: EncodedTurn, number: int) -> str:
    return str(turn.example.get("where", f"example {number + 1}"))


def _without_overlong(
    made: EncodedChunk, settings: EncodingSettings, facts: EncodingFacts
) -> tuple[Chunk, NDArray[np.int64]]:
    """The rows that are trained on after `overlong` is applied, and which row of the chunk each was."""
    chunk = made.rows
    if chunk.trainable.all() and int(chunk.lengths.max()) <= settings.length:
        return chunk, np.arange(len(chunk.rows))
    places = [_place(turn, number) for number, turn in zip(made.numbers.tolist(), made.turns, strict=True)]
    pieces = [_trained_rows(row, settings, facts, where) for row, where in zip(chunk.rows, places, strict=True)]
    rows = [row for rows in pieces for row in rows]
    return Chunk(rows), np.repeat(np.arange(len(pieces)), [len(one) for one in pieces])


def _trained_rows(row: Row, settings: EncodingSettings, facts: EncodingFacts, where: str) -> list[Row]:
    """The rows that are trained on in place of a row: itself, truncated, its pieces, or none."""
    if not Chunk([row]).trainable[0]:
        facts.note("untrainable", where)
        return []
    if len(row) <= settings.length:
        return [row]
    facts.note("overlong", where)
    return _OVERLONG[settings.overlong](row, settings.length, facts, where)


def _dropped(row: Row, length: int, facts: EncodingFacts, where: str) -> list[Row]:
    facts.note("dropped", where)
    return []


def _truncated(row: Row, length: int, facts: EncodingFacts, where: str) -> list[Row]:
    truncated = truncated_row(row, length)
    facts.note("truncated", where)
    after = Chunk([truncated])
    if after.trained.sum() < Chunk([row]).trained.sum():
        facts.note("truncated_answers", where)
    if after.trainable[0]:
        return [truncated]
    facts.note("untrainable", where)
    facts.note("truncated_away", where)
    return []


def _split(row: Row, length: int, facts: EncodingFacts, where: str) -> list[Row]:
    facts.note("split", where)
    return [piece for piece in split_row(row, length) if Chunk([piece]).trainable[0]]


_OVERLONG = {"error": _dropped, "drop": _dropped, "truncate": _truncated, "split": _split}


def _check(facts: EncodingFacts, settings: EncodingSettings, longest: int, split: str) -> None:
    counts, places = facts.counts, facts.places
    if counts["overlong"] and settings.overlong == "error":
        raise DataError(
            f"{counts['overlong']} {split} examples are longer than batch.length={settings.length} tokens; the longest "
            f"has {longest}.",
            where=places["overlong"][0],
            hint=f"Set batch.length={longest}, or batch.overlong=truncate, drop or split.",
        )
    if counts["rows"]:
        return
    if counts["truncated_away"] and counts["truncated_away"] == counts["untrainable"]:
        raise DataError(
            f"No {split} example has a token to train on: with batch.overlong=truncate and batch.length="
            f"{settings.length}, truncation removed the answer of each of {counts['truncated_away']} examples; the "
            f"longest has {longest} tokens.",
            where=places["truncated_away"][0],
            hint=f"Set batch.length={longest}, or batch.overlong=split or drop.",
        )
    if counts["untrainable"]:
        raise DataError(
            f"No {split} example has a token to train on: {template_name(settings)} and the weights of the messages "
            "leave every token out of the loss.",
            where=places["untrainable"][0],
            hint="See the tokens with `luthier preview`, or choose model.chat_template=chatml.",
        )
    raise DataError(
        f"All {counts['overlong']} {split} examples are longer than batch.length={settings.length} and were dropped.",
        where=places["overlong"][0],
        hint=f"Set batch.length={longest}.",
    )


def template_name(settings: EncodingSettings) -> str:
    if settings.tokenizer.chat_template is None:
        return "the method's encoding"
    name = Codec.of(settings.tokenizer).template.name
    return name[:1].lower() + name[1:]
