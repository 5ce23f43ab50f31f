"""Encoding of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_text(example: Example, tokenizer: PreTrainedTokenizerBase, *, end: bool = True) -> TokenSequence:
    """The `text` of an example; every token but the first has weight 1.

    It begins with the tokens that the tokenizer adds before a text (BOS or none, weight 0) and, unless `end` is false,
    ends with one EOS token. The text of special tokens in it is encoded as plain text.
    """
    codec = Codec.of(tokenizer)
    before, after = codec.tokenizer.frame
    if not end:
        after = []
    elif tokenizer.eos_token_id not in after and tokenizer.eos_token_id is not None:
        after = [*after, tokenizer.eos_token_id]
    ids = np.array([*before, *codec.text(example["text"]), *after], dtype=np.int32)
    weights = np.ones(len(ids), dtype=np.float32)
    weights[: max(1, len(before))] = 0
    return TokenSequence(ids, weights)
