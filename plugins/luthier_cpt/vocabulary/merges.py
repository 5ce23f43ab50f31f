"""Learn further merges of a byte pair encoding, where its own have ended."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise

Pair = tuple[str, str]


def continued(words: Mapping[tuple[str, ...], int], known: Collection[str], most: int, least: int) -> list[Pair]:
    """At most `most` merges, each of the most frequent pair of neighbours, as long as one stands `least` times.

    `words` are cut into the tokens that they have so far, each with how often it stands in the text. This is what
    would have come next had the encoding been trained on (Sennrich et al., 2016), so that each new token is reached
    by the tokens before it. A pair whose union is among the `known` tokens is passed over. Of pairs equally frequent
    the first in order of their text is taken: the same text always gives the same merges.
    """
    cut = [list(word) for word in words]
    counts = list(words.values())
    pairs: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(cut):
        for pair in pairwise(word):
            pairs[pair] += counts[number]
            places[pair].add(number)
    waiting = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(waiting)
    taken, merges = set(known), list[Pair]()
    while waiting and len(merges) < most:
        count, pair = heapq.heappop(waiting)
        if -count != pairs[pair]:  # it has changed since, and waits under its new count, too
            continue
        if -count < least:
            break
        union = "".join(pair)
        if union in taken:
            continue
        taken.add(union)
        merges.append(pair)
        changed: set[Pair] = set()
        for number in places.pop(pair):
            before, cut[number] = cut[number], _merged(cut[number], pair)
            for one, sign in ((before, -1), (cut[number], 1)):
                for neighbours in pairwise(one):
                    pairs[neighbours] += sign * counts[number]
                    changed.add(neighbours)
            for neighbours in pairwise(cut[number]):
                places[neighbours].add(number)
        for neighbours in changed - {pair}:
            heapq.heappush(waiting, (-pairs[neighbours], neighbours))
    return merges


def _merged(word: list[str], pair: Pair) -> list[str]:
    found: list[str] = []
    for token in word:
        if found and (found[-1], token) == pair:
            found[-1] = "".join(pair)
        else:
            found.append(token)
    return found
