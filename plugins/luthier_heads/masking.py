"""Which tokens of a text are masked, and what stands in their place (Devlin et al., 2019, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Places = NDArray[np.intp]
MASKED, RANDOM = 0.8, 0.9
"""Up to which of a draw from 0 to 1 a chosen token is masked, and then replaced at random; others stay."""
MEAN, LONGEST = 0.2, 10
"""Of the lengths of spans in words: geometric, and cut (Joshi et al., 2020, section 3.1)."""
HELD_OUT = 0
"""The number of the step whose masks held-out texts have; those of training count from 1."""


def drawn(seed: int, step: int, ids: Ids) -> np.random.Generator:
    """What draws the masks of a text in a step: it follows from these alone, however a batch is cut."""
    return np.random.default_rng([seed, step, crc32(np.ascontiguousarray(ids, dtype=np.int32).tobytes())])


def tokens(words: Ids, random: np.random.Generator) -> list[Places]:
    """Single tokens in random order; of `words`, the word of each token, those of -1 are never masked."""
    return [np.array([place]) for place in random.permutation(np.flatnonzero(words >= 0))]


def whole_words(words: Ids, random: np.random.Generator) -> list[Places]:
    """The tokens of each word together, in random order."""
    return [np.flatnonzero(words == word) for word in random.permutation(np.unique(words[words >= 0]))]


def spans(words: Ids, random: np.random.Generator) -> list[Places]:
    """The tokens of neighbouring words, 1 to 10 of them, in random order; each token once."""
    known, taken, found = np.unique(words[words >= 0]), set[int](), []
    for start in random.permutation(len(known)).tolist():
        length = min(int(random.geometric(MEAN)), LONGEST)
        free = [word for word in known[start : start + length].tolist() if word not in taken]
        taken.update(free)
        if free:
            found.append(np.flatnonzero(np.isin(words, free)))
    return found


UNITS: dict[str, Callable[[Ids, np.random.Generator], Sequence[Places]]] = {
    "tokens": tokens,
    "whole_words": whole_words,
    "spans": spans,
}


def chosen(words: Ids, share: float, units: str, random: np.random.Generator) -> list[Places]:
    """Units of a text that have about `share` of its tokens together, at least one and, where one fits, no more."""
    wanted = max(1, round(share * int((words >= 0).sum())))
    found: list[Places] = []
    count = 0
    for unit in UNITS[units](words, random):
        if count and count + len(unit) > wanted:
            continue  # another one may fit
        found.append(unit)
        count += len(unit)
        if count >= wanted:
            break
    return found


def masked(
    ids: Ids,
    words: Ids,
    *,
    share: float,
    units: str,
    mask: int,
    vocabulary: NDArray[np.int32],
    random: np.random.Generator,
) -> tuple[Ids, Ids]:
    """The ids with 80 % of the chosen tokens masked and 10 % replaced, and the true ids of the chosen, else -1.

    `vocabulary` are the ids to replace by. All tokens of a span have one fate, as in SpanBERT.
    """
    shown, targets = np.array(ids), np.full(len(ids), -1, np.int32)
    for unit in chosen(words, share, units, random):
        targets[unit] = ids[unit]
        fate = random.random(1 if units == "spans" else len(unit))
        fates = np.broadcast_to(fate, unit.shape)
        shown[unit[fates < MASKED]] = mask
        replaced = unit[(fates >= MASKED) & (fates < RANDOM)]
        shown[replaced] = random.choice(vocabulary, size=len(replaced))
    return shown, targets
