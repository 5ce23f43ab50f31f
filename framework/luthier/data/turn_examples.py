"""The examples that a conversation becomes whose turns cannot stand in one text, or are not to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from luthier.contracts.batch import WHOLE, Row
from luthier.contracts.examples import Example
from luthier.data.encoding.turns_apart import TurnsApart
from luthier.errors import DataError
from luthier.plugins.returned import returned

Encode = Callable[[Example, Any], Row]
"""`Method.encode`: (example, tokenizer) → row."""

_ANSWERS = ("chosen", "rejected")


class EncodedTurn(NamedTuple):
    """A row, the example that it was encoded from, and how many messages of the conversation come after that.

    `after` is `WHOLE` where the example was not cut; `asked`: it was cut because data.turns says so.
    """

    row: Row
    example: Example
    after: int = WHOLE
    asked: bool = False


def encoded_turns(example: Example, encode: Encode, tokenizer: Any) -> list[EncodedTurn]:
    """The row of an example; or of each trained turn, where the encoding says that they are apart (`TurnsApart`)."""
    try:
        return [EncodedTurn(returned(encode(example, tokenizer), Row, encode), example)]
    except TurnsApart as apart:
        cut = [EncodedTurn(Row(()), turn_example(example, after), after, apart.asked) for after in apart.after]
        try:
            return [turn._replace(row=encode(turn.example, tokenizer)) for turn in cut]
        except DataError as fault:
            if _is_encoded(cut[-1].example, encode, tokenizer):
                fault.hint = "The last answer alone is encoded: give the earlier ones weight 0, or set data.turns=last."
            raise


def _is_encoded(example: Example, encode: Encode, tokenizer: Any) -> bool:
    try:
        encode(example, tokenizer)
    except DataError:
        return False
    return True


def turn_example(example: Example, after: int) -> Example:
    """The example up to the message after which `after` others come, of which that message alone is trained.

    Further conversations of the example that end with the same message, such as that of a teacher, are cut as well;
    `WHOLE` gives the example itself.
    """
    if after == WHOLE:
        return example
    cut = {key: _cut(messages, after) for key, messages in _conversations(example)}
    return {**example, **cut}


def _conversations(example: Example) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    last = example["messages"][-1]
    for key, value in example.items():
        if key == "messages" or (key not in _ANSWERS and isinstance(value, list) and value and value[-1] == last):
            yield key, value


def _cut(messages: list[dict[str, Any]], after: int) -> list[dict[str, Any]]:
    *before, trained = messages[: len(messages) - after]
    return [*({**message, "weight": 0.0} for message in before), trained]
