"""Strings that Amazon Bedrock reserves: a job there fails on a file that holds one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

COUNT = "reserved_strings"
WARNING = "Turns hold a string that Amazon Bedrock reserves, so a job there would fail on this data"
RESERVED = ("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]")


def count_reserved(messages: Iterable[dict[str, Any]], counts: Counter[str]) -> None:
    """Count the turns that hold a reserved string as `reserved_strings`; here they train like any other text.

    Sources warn of the count.
    """
    counts[COUNT] += sum(any(word in turn["content"] for word in RESERVED) for turn in messages)
