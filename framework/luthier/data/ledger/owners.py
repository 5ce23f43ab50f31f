"""Whose a token is: the message that it belongs to, found by rendering the conversation message by message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.template import Message
from luthier.errors import LuthierError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Owner = tuple[int | None, str]
"""The number of a message and its role; None and `template` for what the template says itself."""


def owners(ids: list[int], example: Example, tokenizer: PreTrainedTokenizerBase) -> list[Owner]:
    """The owner of each token; `text` for all of them where the ids are not those of a conversation of the example."""
    for messages in _conversations(example):
        try:
            marks = Codec.of(tokenizer).borders(messages, example.get("tools"))
        except LuthierError:
            continue
        if marks.ids[: len(ids)] == ids:
            return _laid_out(ids, messages, marks.ends, tokenizer)
    return [(None, "text")] * len(ids)


def _conversations(example: Example) -> Iterator[list[Message]]:
    messages = list(example.get("messages", ()))
    for answer in ("chosen", "rejected"):
        if isinstance(example.get(answer), list):
            yield messages + example[answer]
    if messages:
        yield messages


def _laid_out(
    ids: list[int], messages: list[Message], ends: list[int | None], tokenizer: PreTrainedTokenizerBase
) -> list[Owner]:
    found: list[Owner] = []
    for number, (message, end) in enumerate(zip(messages, ends, strict=True)):
        if end is not None and end > len(found):
            found += [(number, str(message["role"]))] * (end - len(found))
    found = found[: len(ids)] + [(None, "template")] * (len(ids) - len(found))
    own = _said_first(ids, found, tokenizer)
    return [(None, "template")] * own + found[own:]


def _said_first(ids: list[int], found: list[Owner], tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens of the template's own that stand before the first message, such as a system prompt of its own.

    They are seen by their own end-of-turn token: where the first message ends with one, all before another is theirs.
    """
    special = Codec.of(tokenizer).plain.special_ids
    first = [token for token, owner in zip(ids, found, strict=True) if owner[0] == 0]
    end = next((token for token in reversed(first) if token in special), None)
    places = [place for place, token in enumerate(first) if token == end]
    if end is None or len(places) < 2 or end == first[0]:
        return 0
    after = places[-2] + 1
    while after < places[-1] and first[after] not in special:
        after += 1
    return after if after < places[-1] else 0
