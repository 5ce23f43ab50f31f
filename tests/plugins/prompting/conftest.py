"""Reviews to choose in-context examples from, and an endpoint that writes instructions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from luthier.contracts.examples import Example
from tests.chat_server import ChatServer, answer, chat_server
from tests.fixtures import own_cache, tokenizer

__all__ = ["own_cache", "tokenizer"]


def review(text: str, label: str, **more: object) -> Example:
    question = {"role": "user", "content": f"Happy or not?\n\n{text}"}
    reply = {"role": "assistant", "content": label}
    return {"messages": [question, reply], "text": text, "label": label, "split": "train", **more}


@pytest.fixture
def reviews() -> list[Example]:
    return [
        review("The bow broke at once", "unhappy", stars=1),
        review("A warm violin", "happy", stars=5),
        review("The violin sounds thin", "unhappy", stars=2),
        review("My cello sings", "happy", stars=5),
        review("The best strings for a cello", "happy", stars=4),
        review("A case without a handle", "unhappy", stars=1),
    ]


@pytest.fixture
def endpoint() -> Iterator[ChatServer]:
    """A server that writes the same instruction each time."""
    with chat_server(answer(" Judge the review. ")) as server:
        yield server
