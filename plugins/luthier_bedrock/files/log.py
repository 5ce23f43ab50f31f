"""Records of Bedrock's model invocation logging, of Converse and of InvokeModel with `messages`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.api import DataError
from luthier_bedrock.files.conversation import Row, read_conversation, turns_of, with_ids, write_conversation
from luthier_bedrock.files.row_by_row import RowByRow

SCHEMA = "ModelInvocationLog"
MODEL = "modelId"
"""The column with the model that answered; a record needs it."""


class InvocationLog(RowByRow):
    """One invocation a line: the conversation that was sent, and the answer as its last turn."""

    name = "log"
    purpose = "distillation from invocation logs"

    def recognises(self, row: Mapping[str, Any]) -> bool:
        return row.get("schemaType") == SCHEMA

    def read(self, row: Mapping[str, Any]) -> Row:
        read = read_conversation(conversation_of_record(row))
        return read | {key: row[key] for key in (MODEL,) if key in row}

    def write(self, row: Mapping[str, Any]) -> Row:
        turns = turns_of(row)
        if not turns or turns[-1].get("role") != "assistant":
            raise DataError("An invocation needs an answer, and the row does not end with one.")
        if not row.get(MODEL):
            raise DataError(f"A record of an invocation needs `{MODEL}`.", hint="Say which model answered: --model-id.")
        said = write_conversation(row)
        *asked, answer = said["messages"]
        body: Row = {"messages": asked} | {key: said[key] for key in ("system", "toolConfig") if key in said}
        return {
            "schemaType": SCHEMA,
            "schemaVersion": "1.0",
            "operation": "Converse",
            MODEL: row[MODEL],
            "input": {"inputContentType": "application/json", "inputBodyJson": body},
            "output": {"outputContentType": "application/json", "outputBodyJson": {"output": {"message": answer}}},
        }

    def expected(self, row: Mapping[str, Any]) -> Row:
        return {**row, "messages": with_ids(row)}


def conversation_of_record(row: Mapping[str, Any]) -> Row:
    """The conversation of a record as Bedrock's conversations have it; DataError where it has no answer."""
    request, response = _body(row, "input"), _body(row, "output")
    output = response.get("output")
    answer = output.get("message") if isinstance(output, Mapping) else None
    answer = answer or {"role": "assistant", "content": response.get("content")}
    turns = [_turn(turn, "input.inputBodyJson") for turn in _listed(request.get("messages"), "input")]
    turns.append(_turn(answer, "output.outputBodyJson"))
    if not turns[-1]["content"]:
        raise DataError("The invocation has no answer.")
    system = request.get("system") or []
    blocks = [{"text": system}] if isinstance(system, str) else [_block(block) for block in _listed(system, "input")]
    tools = {"toolConfig": request["toolConfig"]} if request.get("toolConfig") else {}
    return {**({"system": blocks} if blocks else {}), "messages": turns, **tools}


def _body(row: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    body = (row.get(side) or {}).get(f"{side}BodyJson") if isinstance(row.get(side), Mapping | None) else None
    if not isinstance(body, Mapping):
        raise DataError(
            f"`{side}.{side}BodyJson` is not in the record.",
            hint="Bodies of more than 100 KB lie in S3 beside the log, streamed ones are lists: whole ones are read.",
        )
    return body


def _listed(value: Any, at: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise DataError(f"`{at}` holds {value!r:.40}, where a list is expected.")
    return value or []


def _turn(turn: Any, at: str) -> Row:
    if not isinstance(turn, Mapping):
        raise DataError(f"`{at}` has a turn that is no object.")
    content = turn.get("content")
    blocks = [{"text": content}] if isinstance(content, str) else [_block(block) for block in _listed(content, at)]
    return {"role": turn.get("role"), "content": blocks}


def _block(block: Any) -> Any:
    """The block in Converse's form `{"text": …}`; Claude writes `{"type": "text", "text": …}`."""
    if isinstance(block, Mapping) and block.get("type") == "text":
        return {"text": block.get("text")}
    return block
