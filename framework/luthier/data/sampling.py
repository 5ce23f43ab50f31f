"""Seeded shuffling and limiting of examples."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


def sampled(examples: Iterable[Example], *, shuffle: int | None, limit: int | None) -> Iterator[Example]:
    """At most `limit` examples: the first, or, with the seed `shuffle`, random ones in random order.

    Shuffling holds `limit` examples in memory, or all of them without a limit. Without shuffling none is held in
    memory, and reading ends at the limit.
    """
    if shuffle is None:
        return islice(examples, limit)
    ranked = ((_rank(shuffle, index), index, example) for index, example in enumerate(examples))
    chosen = sorted(ranked) if limit is None else heapq.nsmallest(limit, ranked)
    return (example for _, _, example in chosen)


def _rank(seed: int, index: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=16).digest()
