"""Encoding of conversations for reward models and sequence classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding.conversations import continuation, encode_conversation
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.data.turn_choice import TURNS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _encoded(example: Example, tokenizer: PreTrainedTokenizerBase, answer: str | None) -> TokenSequence:
    if answer is None:
        return encode_conversation(example, tokenizer)
    prompt, further = continuation(example, answer)
    return encode_conversation({**example, "messages": [*prompt, *further]}, tokenizer, start=len(prompt))


def encode_for_scoring(
    example: Example, tokenizer: PreTrainedTokenizerBase, *, answer: str | None = None
) -> TokenSequence:
    """The messages of an example, followed by those of `example[answer]`, up to the token at which they are scored.

    That is the last token whose id is not that of padding, as in transformers' sequence classifiers. The answers (those
    of `answer`, if given) have weight 1, the last one alone where the template renders earlier ones differently; in a
    conversation without answers all tokens but the first do.
    """
    try:
        whole = _encoded(example, tokenizer, answer)
    except TurnsApart:  # what is scored is the whole text, whatever prompts its earlier answers came from
        whole = _encoded({**example, TURNS: "last"}, tokenizer, answer)
    ids, weights = whole.ids, whole.weights
    end = len(ids)
    while end > 2 and ids[end - 1] == tokenizer.pad_token_id:
        end -= 1
    if not weights[:end].any():
        weights = weights.copy()
        weights[1:] = 1
    return TokenSequence(ids[:end], weights[:end])
