"""Conversations that are judged as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding.conversations import encode_continuation, encode_conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_for_scoring(
    example: Example, tokenizer: PreTrainedTokenizerBase, *, answer: str | None = None
) -> TokenSequence:
    """The messages of an example, and those of `example[answer]` behind them, up to where they are judged.

    That is the last token that is no padding by its id, as transformers' classifiers take it. What the assistant says
    (of `answer`, where that is named) weighs 1; a conversation without it weighs 1 throughout but its first token.
    """
    whole = (
        encode_conversation(example, tokenizer) if answer is None else encode_continuation(example, answer, tokenizer)
    )
    ids, weights = whole.ids, whole.weights
    end = len(ids)
    while end > 2 and ids[end - 1] == tokenizer.pad_token_id:
        end -= 1
    if not weights[:end].any():
        weights = weights.copy()
        weights[1:] = 1
    return TokenSequence(ids[:end], weights[:end])
