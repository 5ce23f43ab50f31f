"""Strings that Amazon Bedrock reserves: a job there fails on a file that contains one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

COUNT = "reserved_strings"
WARNING = "Turns contain a string that Amazon Bedrock reserves, so a job there would fail on this data"
RESERVED = ("User:", "Bot:", "Assistant:", "System:", "<image>", "<video>", "[EOS]")


def count_reserved(messages: Iterable[dict[str, Any]], counts: Counter[str]) -> None:
    """Count the turns with a reserved string as `reserved_strings`; here they are trained on like any other text.

    Sources warn about the count.
    """
    counts[COUNT] += sum(any(word in turn["content"] for word in RESERVED) for turn in messages)
