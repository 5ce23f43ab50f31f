"""The kinds of files, each of which reads its rows as luthier's and writes luthier's rows as its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from luthier.api import DataError, RecipeError, nearest
from luthier_bedrock.files.conversation import (
    Row,
    is_conversation,
    read_conversation,
    turns_of,
    with_ids,
    write_conversation,
)
from luthier_bedrock.files.evaluation import Evaluation
from luthier_bedrock.files.log import InvocationLog
from luthier_bedrock.files.optimization import Optimization
from luthier_bedrock.files.row_by_row import Located, RowByRow, Written
from luthier_bedrock.files.text import Input, Text


class FileKind(Protocol):
    """A kind of file of which each line is an object."""

    @property
    def name(self) -> str:
        """As `--to` and `--from` name it."""

    @property
    def purpose(self) -> str:
        """What the service does with such a file."""

    def recognises(self, row: Mapping[str, Any]) -> bool:
        """Whether a line is of this kind."""

    def rows_of(self, line: Row) -> list[Row]:
        """Luthier's rows (`messages` and `tools`, or `text`, and further columns); DataError for a malformed line."""

    def lines_of(self, rows: Iterable[Located]) -> Iterator[Written]:
        """The lines that say rows of luthier's; DataError, with file and line, where the kind cannot say one."""


class Conversation(RowByRow):
    """`bedrock-conversation-2024`, for supervised fine-tuning, and for distillation with answers."""

    name = "conversation"
    purpose = "supervised fine-tuning, distillation"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return is_conversation(row)

    def read(self, row: Mapping[str, Any]) -> Row:
        return read_conversation(row)

    def write(self, row: Mapping[str, Any]) -> Row:
        return write_conversation(row)

    def expected(self, row: Mapping[str, Any]) -> Row:
        return {**row, "messages": with_ids(row)}


class DistillationPrompts(Conversation):
    """`bedrock-conversation-2024` without the last answer, which the teacher gives."""

    name = "distillation"
    purpose = "distillation, where the teacher answers"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return False  # its lines are conversations; it is named to write prompts

    def write(self, row: Mapping[str, Any]) -> Row:
        return write_conversation(_without_answer(row))

    def expected(self, row: Mapping[str, Any]) -> Row:
        return super().expected(_without_answer(row))


class Rft(RowByRow):
    """Prompts in OpenAI's form with `reference_answer` and what else the grader of a reinforcement job reads."""

    name = "rft"
    purpose = "reinforcement fine-tuning"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return "reference_answer" in row and "messages" in row

    def read(self, row: Mapping[str, Any]) -> Row:
        turns_of(row)
        return dict(row)

    def write(self, row: Mapping[str, Any]) -> Row:
        written = self.expected(row)
        for index, turn in enumerate(written["messages"]):
            if not isinstance(turn.get("content"), str):
                raise DataError(f"The content of `messages[{index}]` is no text, which rows of RFT need.")
        return written

    def expected(self, row: Mapping[str, Any]) -> Row:
        turns = turns_of(row)
        last = turns[-1] if turns else {}
        if "reference_answer" in row or last.get("role") != "assistant":
            return dict(row)
        return {**_without_answer(row), "reference_answer": last.get("content")}


class Messages:
    """Luthier's own rows: `messages` in OpenAI's form, or `text`, and further columns, `bedrock_row` among them."""

    name = "messages"
    purpose = "luthier, and whoever reads OpenAI's chat format"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return "messages" in row

    def rows_of(self, line: Row) -> list[Row]:
        return [line]

    def lines_of(self, rows: Iterable[Located]) -> Iterator[Written]:
        return (Written(located.row, located.where) for located in rows)


def _without_answer(row: Mapping[str, Any]) -> Row:
    messages = turns_of(row)
    while messages and messages[-1].get("role") == "assistant":
        messages.pop()
    if not any(turn.get("role") == "user" for turn in messages):
        raise DataError("The row has no question before its answer.")
    return {**row, "messages": messages}


KINDS: Mapping[str, FileKind] = {
    kind.name: kind
    for kind in (
        InvocationLog(),
        Optimization(),
        Conversation(),
        DistillationPrompts(),
        Rft(),
        Messages(),
        Evaluation(),
        Text(),
        Input(),
    )
}
"""By name, the more specific first: where several recognise a line, the first is used."""


def kind_named(name: str, where: str) -> FileKind:
    """The kind; RecipeError for one that is not known."""
    if name not in KINDS:
        raise RecipeError(f"There is no kind of file {name!r}.", where=where, hint=nearest(name, KINDS, "There are"))
    return KINDS[name]


def kind_of(row: Mapping[str, Any], where: str) -> FileKind:
    """The kind of a line; DataError where it is of none."""
    found = next((kind for kind in KINDS.values() if kind.recognises(row)), None)
    if found is None:
        raise DataError(
            f"The line is of no kind of Bedrock's files; it has the keys {_named(row)}.",
            where=where,
            hint="Give the data as any recipe does instead: luthier bedrock convert data=jsonl data.file=… --to …",
        )
    return found


def _named(keys: Iterable[str]) -> str:
    return ", ".join(map(repr, keys)) or "none"
