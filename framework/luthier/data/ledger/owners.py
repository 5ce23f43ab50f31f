"""The message of each token, determined by rendering the conversation message by message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from luthier.contracts.examples import Example
from luthier.data.encoding.codec import Codec
from luthier.data.encoding.conversations import continuation
from luthier.data.encoding.template import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Owner = tuple[int | None, str]
"""The number of a message and its role; None and `template` for tokens of the template."""


def owners(ids: list[int], example: Example, tokenizer: PreTrainedTokenizerBase) -> list[Owner]:
    """The owner of each token; (None, `text`) for all where the ids are not those of a conversation of the example."""
    for messages in conversations(example):
        for boundaries in Codec.of(tokenizer).boundaries(messages, example.get("tools")):
            if boundaries.ids[: len(ids)] == ids:
                return _owners_by_end(ids, messages, boundaries.ends, tokenizer)
    return [(None, "text")] * len(ids)


def conversations(example: Example) -> Iterator[list[Message]]:
    """The conversations that an example may be encoded as: its messages with each answer of a pair, or alone."""
    for answer in ("chosen", "rejected"):
        if isinstance(example.get(answer), list):
            prompt, further = continuation(example, answer)
            yield [*prompt, *further]
    if messages := list(example.get("messages", ())):
        yield messages


def _owners_by_end(
    ids: list[int], messages: list[Message], ends: list[int | None], tokenizer: PreTrainedTokenizerBase
) -> list[Owner]:
    result: list[Owner] = []
    for number, (message, end) in enumerate(zip(messages, ends, strict=True)):
        if end is not None and end > len(result):
            result += [(number, str(message["role"]))] * (end - len(result))
    result = result[: len(ids)] + [(None, "template")] * (len(ids) - len(result))
    own = _template_prefix(ids, result, tokenizer)
    return [(None, "template")] * own + result[own:]


def _template_prefix(ids: list[int], assigned: list[Owner], tokenizer: PreTrainedTokenizerBase) -> int:
    """The number of the template's own tokens before the first message, such as a default system prompt.

    They end with an end-of-turn token: if that of the first message occurs twice in its tokens, those up to the first
    one are the template's.
    """
    special = Codec.of(tokenizer).tokenizer.special_ids
    first = [token for token, owner in zip(ids, assigned, strict=True) if owner[0] == 0]
    end = next((token for token in reversed(first) if token in special), None)
    places = [place for place, token in enumerate(first) if token == end]
    if end is None or len(places) < 2 or end == first[0]:
        return 0
    after = places[-2] + 1
    while after < places[-1] and first[after] not in special:
        after += 1
    return after if after < places[-1] else 0
