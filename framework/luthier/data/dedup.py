"""Exact deduplication, so that no example is in two splits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from luthier.data.examples import normalised
from luthier.data.records import Tally

if TYPE_CHECKING:
    from luthier.contracts.examples import Example

MANY = 0.2  # share of duplicates above which a warning is given
BOOKKEEPING = re.compile(
    r"(.*[_.-])?(ids?|uuid|guid|hash|sha\d*|md5|idx|index|timestamp|datetime)|.*_(at|date)|row|line|number|where|split|source|"
    r"origin|dataset|subset|file|filename|path|url|uri|link|date|time|created|updated|modified|author|user|username|"
    r"annotator|worker|session|ip|version|commit|licen[cs]e|lang|language|__index_level_\d+__|unnamed: \d+",
    re.IGNORECASE,
)
"""Columns that say where and when a row was made, of which nothing is learned."""


def content_key(example: Example, *, exact: bool = True) -> bytes:
    """A hash of 16 bytes, equal for examples of which the same is learned.

    That is everything but columns of book-keeping, such as `id`, `date` or `url`: texts to the last blank, weights,
    reasoning, tools, votes, scores and reference answers. Unless `exact`, white space and the form of Unicode are
    normalised.
    """
    learned = {key: value for key, value in example.items() if not BOOKKEEPING.fullmatch(key)}
    text = json.dumps(learned if exact else _loose(learned), ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _loose(value: Any) -> Any:
    if isinstance(value, str):
        return normalised(value)
    if isinstance(value, dict):
        return {key: _loose(inner) for key, inner in value.items()}
    return [_loose(inner) for inner in value] if isinstance(value, (list, tuple)) else value


class SeenExamples:
    """The examples that were read before; two hashes of each are held in memory, 32 bytes."""

    def __init__(self) -> None:
        self._exact: dict[bytes, tuple[str, str]] = {}
        self._loose: dict[bytes, tuple[str, str]] = {}

    def earlier(self, example: Example, owner: str = "") -> tuple[str, str] | None:
        """The owner and the split of the earlier example that this one is a duplicate of; None where it is the first.

        Duplicates are examples of which the same is learned; in different splits also those that differ in white space
        alone, so that what is held out is not trained on in another form.
        """
        exact, mine = content_key(example), (owner, str(example.get("split", "")))
        if exact in self._exact:
            return self._exact[exact]
        other = self._loose.setdefault(content_key(example, exact=False), mine)
        if other[1] != mine[1]:
            return other
        self._exact[exact] = mine
        return None

    def owner(self, example: Example) -> str | None:
        """The owner of the first of an example's duplicates; None for an example that was not read or was dropped."""
        return self._exact.get(content_key(example), (None, ""))[0]


def unique(examples: Iterable[Example], tally: Tally) -> Iterator[Example]:
    """The first of each set of duplicates (`SeenExamples`).

    The others are counted as `duplicates`, and also as `overlap`, with a warning, where the source put them into
    another split than the first. More than a fifth of duplicates causes a warning.
    """
    seen = SeenExamples()
    count = 0
    for example in examples:
        count += 1
        first = seen.earlier(example)
        if first is None:
            yield example
            continue
        tally.counts["duplicates"] += 1
        if first[1] != (split := str(example.get("split", ""))):
            tally.counts["overlap"] += 1
            tally.warn(f"Examples of the split {first[1]} are in {split} too; only the first is kept", example["where"])
    if tally.counts["duplicates"] > MANY * count:
        tally.warn(f"{tally.counts['duplicates']} of {count} examples are duplicates of others and were dropped")
