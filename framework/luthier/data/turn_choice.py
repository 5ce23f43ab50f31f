"""The choice of what of a conversation is an example."""

from __future__ import annotations

from typing import Literal

from luthier.contracts.examples import Example

TURNS = "data.turns"
"""The key of an example under which a source says what of its conversation is an example: a `TurnChoice`."""

TurnChoice = Literal["auto", "whole", "each", "last"]
"""auto: whole where its template renders it so, else each; whole: all of it; each: each trained turn with what comes
before it; last: the conversation, of which the last trained turn alone is trained."""


def with_turns(example: Example, turns: TurnChoice) -> Example:
    """The example with the choice of what of its conversation is an example; unchanged for `auto`."""
    return example if turns == "auto" else {**example, TURNS: turns}
