"""Strings that Amazon Bedrock reserves: a job there fails on a file that holds one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

RESERVED = ("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]")


def count_reserved(messages: Iterable[dict[str, Any]], counts: Counter[str]) -> None:
    """Count the turns that hold a reserved string as `reserved_strings`; here they train like any other text."""
    counts["reserved_strings"] += sum(any(word in turn["content"] for word in RESERVED) for turn in messages)
