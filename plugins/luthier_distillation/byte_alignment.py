"""Where two tokenizers cut a text at the same byte."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Spelled = Sequence[tuple[bytes, bool]]
"""The bytes of each token of an answer, and whether it ends the answer."""


def runs(weights: NDArray[np.float32]) -> list[range]:
    """The stretches of tokens that are trained, one for each answer of a sequence."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], weights > 0, [False]])))
    return [range(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def pairs(ours: Spelled, theirs: Spelled) -> list[tuple[int, int]]:
    """Numbers of tokens of both that begin at the same byte, and of the tokens that end both.

    A space that only one of them puts before the first word (SentencePiece) counts for nothing. Nothing is paired
    where they do not spell the same text, as far as both go.
    """
    text, their_text = (b"".join(spelled for spelled, _ in each) for each in (ours, theirs))
    shift = int(text[:1] == b" " != their_text[:1]) - int(their_text[:1] == b" " != text[:1])
    text, their_text = text[max(0, shift) :], their_text[max(0, -shift) :]
    common = min(len(text), len(their_text))
    if text[:common] != their_text[:common]:
        return []
    begins = _begins(ours, max(0, shift))
    their_begins = {begin: number for number, begin in reversed(list(_begins(theirs, max(0, -shift)).items()))}
    found = [(number, their_begins[begin]) for number, begin in begins.items() if begin in their_begins]
    last, their_last = (next((n for n, (_, ends) in enumerate(each) if ends), None) for each in (ours, theirs))
    if last is not None and their_last is not None and len(text) == len(their_text):
        found.append((last, their_last))
    return found


def _begins(spelled: Spelled, skipped: int) -> dict[int, int]:
    """The byte at which each token with text begins, the first one at 0."""
    starts = accumulate((len(each) for each, _ in spelled), initial=-skipped)
    return {
        number: max(0, start)
        for number, (start, (each, ends)) in enumerate(zip(starts, spelled, strict=False))
        if start + len(each) > 0 and each and not ends
    }
