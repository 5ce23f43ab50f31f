"""Conversations in the tokenizer's chat template."""

from __future__ import annotations

import math
from collections.abc import Sequence as Several
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.template import Message
from luthier.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_conversation(
    example: Example,
    tokenizer: PreTrainedTokenizerBase,
    *,
    roles: Several[str] = ("assistant",),
    end_of_turn: bool = True,
    start: int = 0,
) -> TokenSequence:
    """The messages of an example; what the model writes in the turns of `roles` weighs 1, all else is context.

    A message's own `weight` takes the place of that 0 or 1. The end-of-turn token weighs as much as its turn, unless
    `end_of_turn` is off. Messages before number `start` are context whatever they say. DataError at the example's
    `where` if it has no messages, or the template cannot render them or does not show where answers begin.
    """
    where = str(example.get("where", ""))
    if "messages" not in example:
        hint = "Learn plain text with method=cpt, or say with data/format how its rows become conversations."
        raise DataError("A conversation is trained on, and the example has no `messages`.", where=where, hint=hint)
    messages = example["messages"]
    weights = [_weight(message, roles, where) if number >= start else 0.0 for number, message in enumerate(messages)]
    found = Codec.of(tokenizer).turns(messages, example.get("tools"), weights, where)
    ids = np.array(found.ids, dtype=np.int32)
    of_tokens = np.zeros(len(ids), dtype=np.float32)
    for turn in found.turns:
        of_tokens[turn.start : turn.stop] = weights[turn.message]
        if turn.ends and not end_of_turn:
            of_tokens[turn.stop - 1] = 0
    of_tokens[:1] = 0
    return TokenSequence(ids, of_tokens)


def encode_continuation(
    example: Example, answer: str, tokenizer: PreTrainedTokenizerBase, *, end_of_turn: bool = True
) -> TokenSequence:
    """The messages and then those of `example[answer]`, such as `chosen`; only what the latter add is trained."""
    prompt: list[Message] = list(example.get("messages", ()))
    whole = {**example, "messages": prompt + list(example[answer])}
    return encode_conversation(whole, tokenizer, end_of_turn=end_of_turn, start=len(prompt))


def encode_prompt(example: Example, tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int32]:
    """The ids that the model sees when it is asked for the turn that follows the messages."""
    ids = Codec.of(tokenizer).asked(example["messages"], example.get("tools"), str(example.get("where", "")))
    return np.array(ids, dtype=np.int32)


def _weight(message: Message, roles: Several[str], where: str) -> float:
    given = message.get("weight")
    if given is None:
        return 1.0 if message["role"] in roles else 0.0
    if not isinstance(given, (int, float)) or not math.isfinite(given) or given < 0:
        raise DataError(f"The weight of a message is {given!r}.", where=where, hint="Use a number from 0 up.")
    return float(given)
