"""The first examples of a recipe's data: formats, counts, splits, how many tokens there will be."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.contracts.batch import WHOLE
from luthier.data.encoding.codec import Codec
from luthier.data.encoding_notes import encoding_notes
from luthier.data.shown_examples import shown
from luthier.data.turn_examples import EncodedTurn, encoded_turns

if TYPE_CHECKING:
    from luthier.contracts.examples import Example, Source
    from luthier.contracts.prompt import Prompt
    from luthier.data.rows import Encode

MOST_EXAMPLES = 20_000
MOST_SECONDS = 5.0
ENCODED = 48
CHARACTERS_PER_TOKEN, TEMPLATE_TOKENS = 3.7, 12.0  # of English; only where no tokenizer is at hand


@dataclass(slots=True)
class DataSample:
    """Facts of the first examples of a source; `complete` if those were all.

    `lengths` are the tokens of each training example, estimated from its characters and from `encoded` examples.
    """

    splits: dict[str, int]
    counts: dict[str, int]
    warnings: list[str]
    format: str
    complete: bool
    lengths: list[int]
    longest: int
    encoded: int
    overlong: list[str] = field(default_factory=list)

    @property
    def examples(self) -> int:
        return sum(self.splits.values())

    @property
    def tokens(self) -> int:
        return sum(self.lengths)


def sample_data(
    source: Source,
    prompt: Prompt,
    encode: Encode,
    tokenizer: Any | None,
    length: int,
    learn: Callable[[Mapping[str, Sequence[Example]]], Any] = lambda examples: None,
) -> DataSample:
    """Read until the end, 20,000 examples or 5 seconds; DataError as in a run.

    Without a tokenizer nothing is prompted or encoded, and lengths are guessed from characters.
    """
    began, complete = time.monotonic(), True
    examples: list[Example] = []
    for example in source:
        examples.append(example)
        if len(examples) >= MOST_EXAMPLES or time.monotonic() - began > MOST_SECONDS:
            complete = False
            break
    train = [example for example in examples if example.get("split", "train") == "train"]
    sample = _spread(train, ENCODED)
    if tokenizer is not None:
        prompt.learn(train, tokenizer)
        learn(_by_split(examples) if complete else {"train": train})
        sample = [shown(prompt, example) for example in sample]
    turns, notes = _encoded(sample, encode, tokenizer) if tokenizer is not None else ([], [])
    rows = [sum(len(turn.row) for turn in each) for each in turns]
    per_character, fixed = _fit(list(map(_characters, sample)), rows)
    long = [max(len(turn.row) for turn in each) for each in turns]
    return DataSample(
        splits=dict(Counter(str(example.get("split", "train")) for example in examples)),
        counts=dict(source.counts),
        warnings=[*getattr(source, "warnings", []), *notes],
        format=getattr(getattr(source, "detected", None), "reason", ""),
        complete=complete,
        lengths=[round(fixed + per_character * _characters(example)) for example in train],
        longest=max(long, default=0),
        encoded=len(rows),
        overlong=[str(one["where"]) for one, size in zip(sample, long, strict=False) if size > length],
    )


def _by_split(examples: Sequence[Example]) -> dict[str, list[Example]]:
    splits: dict[str, list[Example]] = {}
    for example in examples:
        splits.setdefault(str(example.get("split", "train")), []).append(example)
    return splits


def _encoded(sample: Sequence[Example], encode: Encode, tokenizer: Any) -> tuple[list[list[EncodedTurn]], list[str]]:
    """The rows of each example, and notes on turns that are examples of their own and on what the template leaves out.

    The notes count the examples of the sample alone.
    """
    counts = Codec.of(tokenizer).counts
    before = Counter(counts)
    turns = [encoded_turns(example, encode, tokenizer) for example in sample]
    found = counts - before
    found["turns_apart"] = sum(any(turn.after != WHOLE and not turn.asked for turn in each) for each in turns)
    return turns, encoding_notes(found, {}, "train")


def _fit(characters: Sequence[int], tokens: Sequence[int]) -> tuple[float, float]:
    """(tokens a character, tokens an example has besides) by least squares; a guess for English without any tokens."""
    if not tokens:
        return 1 / CHARACTERS_PER_TOKEN, TEMPLATE_TOKENS
    if len(set(characters)) < 2:
        return sum(tokens) / max(1, sum(characters)), 0.0
    slope, intercept = np.polyfit(characters, tokens, 1)
    return float(slope), float(intercept)


def _spread(examples: Sequence[Example], most: int) -> list[Example]:
    step = max(1, len(examples) // most)
    return list(examples[::step][:most])


def _characters(example: Example) -> int:
    content = example.get("messages") or example.get("text") or ""
    content = (
        [*content, *example.get("chosen", ()), *example.get("rejected", ())] if isinstance(content, list) else content
    )
    return len(content) if isinstance(content, str) else len(json.dumps(content, ensure_ascii=False, default=str))
