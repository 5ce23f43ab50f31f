"""Splitting and truncation of rows that are longer than a block, and the lengths that a block may have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from luthier.contracts.batch import Row, TokenSequence
from luthier.data.windows import windows
from luthier.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def split_row(row: Row, length: int) -> list[Row]:
    """The row split into rows of at most `length` tokens, in which each trained token is trained exactly once.

    Each piece begins with the last token of the previous one, as context of weight 0; those of a row with labels are
    overlapping windows, where a token has its label in one of them alone. RecipeError for a row of several sequences
    and for a prompt-only row.
    """
    if len(row) <= length:
        return [row]
    _refuse_prompt_only(row)
    if row.read_only and len(row.sequences) == 1 and row.sequences[0].labels is not None:
        return windows_of_row(row, length)
    if row.read_only:
        raise RecipeError(
            f"A text of {len(row)} tokens that is judged as a whole cannot be cut into pieces.",
            where="batch.overlong",
            hint="Set batch.overlong=truncate or drop.",
        )
    if len(row.sequences) > 1:
        raise RecipeError(
            f"A row of {len(row.sequences)} sequences that belong together cannot be cut into pieces.",
            where="batch.overlong",
            hint="Set batch.overlong=truncate or drop.",
        )
    (whole,) = row.sequences
    pieces = []
    for start in range(0, len(whole) - 1, length - 1):
        weights = np.array(whole.weights[start : start + length])
        weights[0] = 0
        pieces.append(Row((TokenSequence(whole.ids[start : start + length], weights),), row.values))
    return pieces


def windows_of_row(row: Row, length: int) -> list[Row]:
    """Overlapping windows of a row with labels, each between its opening and closing tokens.

    A token has its label where it has the most context; elsewhere it has -1.
    """
    (whole,) = row.sequences
    assert whole.labels is not None
    tokens, opening, closing = np.arange(len(whole)), row.opening, len(whole) - row.closing
    pieces = []
    for window in windows(closing - opening, length - row.opening - row.closing):
        inner = tokens[opening + window.begin : opening + window.end]
        piece = whole.at(np.concatenate([tokens[:opening], inner, tokens[closing:]]))
        answered = np.isin(inner, np.arange(opening + window.first, opening + window.last))
        labels = np.full(len(piece), -1, np.int32)
        labels[opening : opening + len(inner)] = np.where(answered, whole.labels[inner], -1)
        piece.weights[0] = 0
        pieces.append(replace(row, sequences=(replace(piece, labels=labels),)))
    return pieces


def truncated_row(row: Row, length: int) -> Row:
    """The row with its longest sequences truncated at the end, so that it has `length` tokens.

    The shared prefix is not truncated: where it alone is too long, each sequence keeps one token after it. RecipeError
    for a prompt-only row.
    """
    _refuse_prompt_only(row)
    own = [len(sequence) - row.shared for sequence in row.sequences]
    room = max(length - row.shared, len(own))
    limit = _limit(own, room)
    spare = room - sum(
        min(each, limit) for each in own
    )  # fewer tokens than sequences: the first sequences get one each
    truncated = []
    for sequence, each in zip(row.sequences, own, strict=True):
        more = each > limit and spare > 0
        spare -= more
        truncated.append(_cut(sequence, row.shared + limit + more, row.closing if row.read_only else 0))
    return replace(row, sequences=tuple(truncated))


def _cut(whole: TokenSequence, length: int, closing: int) -> TokenSequence:
    """At most `length` tokens of a sequence, the last `closing` of them those that it ends with."""
    if len(whole) <= length or not closing:
        return whole.at(slice(length))
    tokens, end = np.arange(len(whole)), max(length - closing, 1)
    return whole.at(np.concatenate([tokens[:end], tokens[-closing:]])[:length])


def _refuse_prompt_only(row: Row) -> None:
    if row.prompt_only:
        raise RecipeError(
            f"A prompt of {len(row)} tokens that is to be answered cannot be truncated or split.",
            where="batch.overlong",
            hint="Set batch.overlong=drop, or raise batch.length.",
        )


def _limit(lengths: list[int], total: int) -> int:
    """The greatest length to which all can be truncated so that their sum is at most `total`."""
    left = len(lengths)
    for own in sorted(lengths):
        if own * left > total:
            return total // left
        total, left = total - own, left - 1
    return max(lengths, default=0)


def refuse_length(length: int, tokenizer: PreTrainedTokenizerBase, *, apart: bool = False) -> None:
    """RecipeError for blocks without room for a token to predict, or with more tokens than the model has positions.

    `apart`: a block holds several texts, each of which is short enough by itself.
    """
    if length < 2:
        raise RecipeError(f"batch.length is {length}.", where="batch.length", hint="Use 2 or more.")
    if length > tokenizer.model_max_length and not apart:
        raise RecipeError(
            f"batch.length={length} is more than the model's {tokenizer.model_max_length} positions, as its config or "
            "its tokenizer (model_max_length) states them.",
            where="batch.length",
            hint=f"Set batch.length={tokenizer.model_max_length} or less.",
        )
