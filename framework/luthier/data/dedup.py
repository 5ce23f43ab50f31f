"""Exact deduplication, so that no example is in two splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from luthier.data.examples import content_key
from luthier.data.records import Tally

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

MANY = 0.2  # share of duplicates above which a warning is given


def unique(examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
    """The first of each set of duplicates (examples of equal `content_key`).

    The others are counted as `duplicates`, and also as `overlap`, with a warning, where the source put them into
    another split than the first. More than a fifth of duplicates causes a warning. 16 bytes per example are held in
    memory.
    """
    seen: dict[bytes, str] = {}
    count = 0
    for example in examples:
        count += 1
        key, split = content_key(example), str(example.get("split", ""))
        if key not in seen:
            seen[key] = split
            yield example
            continue
        tally.counts["duplicates"] += 1
        if seen[key] != split:
            tally.counts["overlap"] += 1
            tally.warn(
                f"Examples of the split {seen[key]} are in {split} too; only the first is kept", example["where"]
            )
    if tally.counts["duplicates"] > MANY * count:
        tally.warn(f"{tally.counts['duplicates']} of {count} examples are duplicates of others and were dropped")
