"""Tokenizers for the tests of encoding, and a cache of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from luthier.models.templates import template
from tests.framework.data_tokens.tiny_tokens import byte_level
from tests.session_cache import cache, session_cache  # noqa: F401 - fixtures


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """pad = EOS = the end of a turn, and BOS begins each turn: as SmolLM2 has it."""
    return byte_level()


@pytest.fixture
def marked() -> PreTrainedTokenizerFast:
    return byte_level(template("chatml"))


@pytest.fixture
def add_token() -> Callable[..., None]:
    def add(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False)])

    return add
