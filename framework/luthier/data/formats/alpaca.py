"""Alpaca's instruction format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.data.formats.conversation import conversation
from luthier.data.formats.fields import further_fields, kind, system_turns, text_field
from luthier.data.formats.format import Format
from luthier.errors import DataError

if TYPE_CHECKING:
    from luthier.contracts.examples import Example


@dataclass(frozen=True)
class Alpaca(Format):
    """Alpaca's format: `instruction`, `output` and an `input` that may be empty (Taori et al., 2023).

    The user turn is the instruction, followed by a blank line and the input. `system` is the system turn; `history`, a
    list of pairs, holds the turns before.
    """

    name = "alpaca"
    expects = "`instruction` and `output`, and perhaps `input`"
    keys = (("instruction", "output"),)
    synonyms = {  # noqa: RUF012
        "instruction": ("prompt", "task", "question"),
        "input": ("context",),
        "output": ("response", "answer", "completion"),
    }

    def recognises(self, row: dict[str, Any]) -> str:
        return "`instruction` and `output` stand side by side" if {"instruction", "output"} <= row.keys() else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        question = text_field(row, "instruction")
        if row.get("input") is not None and (more := text_field(row, "input", blank=True)).strip():
            question = f"{question}\n\n{more}"
        turns = [*system_turns(row), *history_turns(row)]
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": text_field(row, "output")}]
        example = further_fields(row, ("instruction", "input", "output", "system", "history"), counts)
        example["messages"] = conversation(turns, counts, at="history, instruction and output")
        return example


def history_turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns in the column `history`, a list of pairs of question and answer; an empty list where it has none."""
    history: Any = row.get("history") or []
    if not isinstance(history, list) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in history):
        raise DataError(f"`history` is {kind(history)}, where a list of pairs is expected.")
    return [
        {"role": role, "content": text}
        for pair in history
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
