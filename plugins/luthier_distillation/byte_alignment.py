"""Byte alignment: the positions at which two tokenizers begin a token at the same byte of a text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

AnswerBytes = Sequence[tuple[bytes, bool]]
"""The bytes of each token of an answer, and whether the token ends the answer."""


def trained_spans(weights: NDArray[np.float32]) -> list[range]:
    """The maximal runs of tokens with a positive weight, one for each answer of a sequence."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], weights > 0, [False]])))
    return [range(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def aligned_tokens(student: AnswerBytes, teacher: AnswerBytes) -> list[tuple[int, int]]:
    """Pairs of token numbers that begin at the same byte of an answer, and the pair of tokens that end it.

    A space that only one tokenizer puts before the first word (SentencePiece) is ignored. There are no pairs where the
    bytes of the two differ within the length of the shorter one.
    """
    text, teacher_text = (b"".join(token for token, _ in answer) for answer in (student, teacher))
    shift = int(text[:1] == b" " != teacher_text[:1]) - int(teacher_text[:1] == b" " != text[:1])
    text, teacher_text = text[max(0, shift) :], teacher_text[max(0, -shift) :]
    common = min(len(text), len(teacher_text))
    if text[:common] != teacher_text[:common]:
        return []
    starts = _token_starts(student, max(0, shift))
    teacher_starts = _token_starts(teacher, max(0, -shift))
    token_at = {start: number for number, start in reversed(list(teacher_starts.items()))}
    aligned = [(number, token_at[start]) for number, start in starts.items() if start in token_at]
    end, teacher_end = (next((n for n, (_, ends) in enumerate(answer) if ends), None) for answer in (student, teacher))
    if end is not None and teacher_end is not None and len(text) == len(teacher_text):
        aligned.append((end, teacher_end))
    return aligned


def _token_starts(answer: AnswerBytes, skipped: int) -> dict[int, int]:
    """The byte at which each token with text begins, by its number; `skipped` leading bytes are not counted."""
    starts = accumulate((len(token) for token, _ in answer), initial=-skipped)
    return {
        number: max(0, start)
        for number, (start, (token, ends)) in enumerate(zip(starts, answer, strict=False))
        if start + len(token) > 0 and token and not ends
    }
