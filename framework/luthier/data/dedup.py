"""Drop exact duplicates, so that none stands on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from luthier.data.examples import content_key
from luthier.data.records import Tally

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

MANY = 0.2


def unique(examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
    """The first of each set of equal examples.

    Dropped ones are counted as `duplicates`; as `overlap` too, with a warning, if the source gave them another split
    than the one that stays. More than a fifth of duplicates is worth a warning. Keeps 16 bytes of each example.
    """
    seen: dict[bytes, str] = {}
    given = 0
    for example in examples:
        given += 1
        key, split = content_key(example), str(example.get("split", ""))
        if key not in seen:
            seen[key] = split
            yield example
            continue
        tally.counts["duplicates"] += 1
        if seen[key] != split:
            tally.counts["overlap"] += 1
            tally.warn(
                f"Examples of the split {seen[key]} stand in {split} again; only the first is kept", example["where"]
            )
    if tally.counts["duplicates"] > MANY * given:
        tally.warn(f"{tally.counts['duplicates']} of {given} examples are duplicates of others and were dropped")
