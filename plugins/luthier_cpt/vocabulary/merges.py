"""Learns further merges of a byte pair encoding."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise

Pair = tuple[str, str]


def further_merges(words: Mapping[tuple[str, ...], int], known: Collection[str], most: int, least: int) -> list[Pair]:
    """At most `most` merges, each of the most frequent pair of adjacent tokens, which occurs `least` times or more.

    `words` are words as tuples of their present tokens, with their counts in the text. The merges are those that
    training of the encoding (Sennrich et al., 2016) would learn next, so that each new token is made of earlier ones.
    A pair whose union is among the `known` tokens is skipped. Of equally frequent pairs the first in lexicographic
    order is merged: the same text always gives the same merges.
    """
    tokens = [list(word) for word in words]
    counts = list(words.values())
    pairs: Counter[Pair] = Counter()
    places: defaultdict[Pair, set[int]] = defaultdict(set)
    for number, word in enumerate(tokens):
        for pair in pairwise(word):
            pairs[pair] += counts[number]
            places[pair].add(number)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    vocabulary, merges = set(known), list[Pair]()
    while queue and len(merges) < most:
        count, pair = heapq.heappop(queue)
        if -count != pairs[pair]:  # an outdated count; the pair is in the queue with its present one as well
            continue
        if -count < least:
            break
        union = "".join(pair)
        if union in vocabulary:
            continue
        vocabulary.add(union)
        merges.append(pair)
        changed: set[Pair] = set()
        for number in places.pop(pair):
            before, tokens[number] = tokens[number], _merged(tokens[number], pair)
            for one, sign in ((before, -1), (tokens[number], 1)):
                for neighbours in pairwise(one):
                    pairs[neighbours] += sign * counts[number]
                    changed.add(neighbours)
            for neighbours in pairwise(tokens[number]):
                places[neighbours].add(number)
        for neighbours in changed - {pair}:
            heapq.heappush(queue, (-pairs[neighbours], neighbours))
    return merges


def _merged(word: list[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for token in word:
        if merged and (merged[-1], token) == pair:
            merged[-1] = "".join(pair)
        else:
            merged.append(token)
    return merged
