"""Encoding of conversations with the tokenizer's chat template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from luthier.contracts.batch import TokenSequence
from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.template import Message
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.data.turn_choice import TURNS, TurnChoice
from luthier.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_conversation(
    example: Example,
    tokenizer: PreTrainedTokenizerBase,
    *,
    roles: Sequence[str] = ("assistant",),
    end_of_turn: bool = True,
    start: int = 0,
) -> TokenSequence:
    """The messages of an example: the answer spans of the turns of `roles` have weight 1, all other tokens 0.

    A message's own `weight` replaces that 0 or 1. The end-of-turn token has the weight of its turn, or 0 if
    `end_of_turn` is false. Messages before number `start` have weight 0 in any case. DataError at the example's `where`
    if it has no messages, if the template cannot render them, if it leaves out a text of a trained message, or if the
    beginning of an answer cannot be determined; TurnsApart if it renders the messages before an answer differently when
    others follow, so that each turn must be an example of its own (`encoded_turns`).
    """
    where = str(example.get("where", ""))
    if "messages" not in example:
        hint = "Train on plain text with method=cpt, or choose the data/format that makes its rows conversations."
        raise DataError(
            "This method trains on conversations, and the example has no `messages`.", where=where, hint=hint
        )
    messages = example["messages"]
    weights = [_weight(message, roles, where) if number >= start else 0.0 for number, message in enumerate(messages)]
    weights = _chosen(weights, example.get(TURNS, "auto"), where)
    try:
        turns = Codec.of(tokenizer).turns(messages, example.get("tools"), weights, where)
    except TurnsApart as apart:
        if example.get(TURNS) == "whole":
            raise DataError(
                apart.message, where=where, hint=f"{apart.hint} They are chosen by data.turns=auto."
            ) from None
        raise
    ids = np.array(turns.ids, dtype=np.int32)
    of_tokens = np.zeros(len(ids), dtype=np.float32)
    for turn in turns.turns:
        of_tokens[turn.start : turn.stop] = weights[turn.message]
        if turn.ends and not end_of_turn:
            of_tokens[turn.stop - 1] = 0
    of_tokens[:1] = 0
    return TokenSequence(ids, of_tokens)


def encode_continuation(
    example: Example, answer: str, tokenizer: PreTrainedTokenizerBase, *, end_of_turn: bool = True
) -> TokenSequence:
    """The prompt followed by the messages of `example[answer]`, such as `chosen`; only answers in these are trained.

    The prompt is `messages`, without their last answer where `example[answer]` begins with an answer, too. They are one
    sequence: DataError where the template does not render several answers in one text.
    """
    prompt, further = continuation(example, answer)
    whole = {**example, "messages": [*prompt, *further]}
    try:
        return encode_conversation(whole, tokenizer, end_of_turn=end_of_turn, start=len(prompt))
    except TurnsApart as apart:
        raise DataError(
            f"`{answer}` has several answers, which are compared as one text. {apart.message}",
            where=apart.where,
            hint="Train its last answer alone (data.turns=last), or choose a template that renders what it rendered "
            "before: model.chat_template=chatml or plain.",
        ) from None


def continuation(example: Example, answer: str) -> tuple[list[Message], list[Message]]:
    """The prompt that the messages of `example[answer]` continue, and those messages."""
    prompt, further = list(example.get("messages", ())), list(example[answer])
    while prompt and further and prompt[-1]["role"] == further[0]["role"] == "assistant":
        prompt.pop()
    return prompt, further


def encode_prompt(example: Example, tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int32]:
    """The token ids of the prompt from which the turn after the messages is generated, int32 [n]."""
    ids = Codec.of(tokenizer).prompt(example["messages"], example.get("tools"), str(example.get("where", "")))
    return np.array(ids, dtype=np.int32)


def _chosen(weights: list[float], turns: TurnChoice, where: str) -> list[float]:
    """The weights with those of the trained turns that `turns` leaves; TurnsApart where each is to be an example."""
    trained = [number for number, weight in enumerate(weights) if weight]
    if turns == "last":
        return [weight if number in trained[-1:] else 0.0 for number, weight in enumerate(weights)]
    if turns == "each" and len(trained) > 1:
        after = [len(weights) - 1 - number for number in trained]
        raise TurnsApart("With data.turns=each the conversation is no single example.", after, where, asked=True)
    return weights


def _weight(message: Message, roles: Sequence[str], where: str) -> float:
    given = message.get("weight")
    if given is None:
        return 1.0 if message["role"] in roles else 0.0
    if not isinstance(given, (int, float)) or not math.isfinite(given) or given < 0:
        raise DataError(f"The weight of a message is {given!r}.", where=where, hint="Use a number from 0 up.")
    return float(given)
