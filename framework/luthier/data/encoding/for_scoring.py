"""Encoding of conversations for reward models and sequence classification."""

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
    """The messages of an example, followed by those of `example[answer]`, up to the token at which they are scored.

    That is the last token whose id is not that of padding, as in transformers' sequence classifiers. The answers (those
    of `answer`, if given) have weight 1; in a conversation without answers all tokens but the first do.
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
