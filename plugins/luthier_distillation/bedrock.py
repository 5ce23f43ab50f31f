"""Amazon Bedrock's distillation input, read, and the teacher's answers in its format, written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.api import BEDROCK_VERSION, BedrockConversation, DataError

if TYPE_CHECKING:
    from luthier.api import Example

_ROLES = ("user", "assistant")


@dataclass(frozen=True)
class BedrockLog:
    """Records of model invocation logging, `schemaType` ModelInvocationLog, of the operations Converse and InvokeModel.

    Of InvokeModel those bodies are read that have `messages`, as Nova's and Claude's do. With `answers` the model's
    answer is the last turn (Bedrock's usePromptResponse), else the prompt stands alone. `model` and `metadata` are
    filters, as Bedrock's are; what they leave out, and what was not answered with text, is refused row by row: say
    `data.on_bad_row=skip`, and it is counted.
    """

    answers: bool = True
    model: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    name = "bedrock_log"
    expects = "`schemaType` ModelInvocationLog, and `input` and `output` with their bodies"
    keys = (("schemaType", "input", "output"),)

    def settle(self, rows: Sequence[dict[str, Any]]) -> BedrockLog:
        return self

    def recognises(self, row: dict[str, Any]) -> str:
        return "`schemaType` is ModelInvocationLog" if row.get("schemaType") == "ModelInvocationLog" else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if row.get("schemaType") != "ModelInvocationLog":
            raise DataError(f"`schemaType` is {row.get('schemaType')!r}, where 'ModelInvocationLog' is expected.")
        self._filter(row)
        asked = _body(row, "input", "inputBodyJson")
        turns = [_turn(each, "input.messages") for each in asked.get("messages") or []]
        if self.answers:
            turns.append(_answer(_body(row, "output", "outputBodyJson")))
        system = asked.get("system") or []
        made = {
            "schemaVersion": BEDROCK_VERSION,
            "system": [{"text": system}] if isinstance(system, str) else [_block(each) for each in system],
            "messages": turns,
        }
        return BedrockConversation(answered=self.answers)(made, counts)

    def _filter(self, row: dict[str, Any]) -> None:
        if self.model is not None and self.model not in str(row.get("modelId")):
            raise DataError(f"The invocation is of {row.get('modelId')}, not of {self.model}.")
        said = row.get("requestMetadata") or {}
        for key, value in self.metadata.items():
            if said.get(key) != value:
                raise DataError(f"The invocation's `requestMetadata` says {said.get(key)!r} for {key}, not {value!r}.")


def prompt_and_answer(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A conversation as a line of Bedrock's training data, schemaVersion bedrock-conversation-2024; text turns only."""
    system = [{"text": str(turn["content"])} for turn in messages if turn["role"] == "system"]
    turns = [turn for turn in messages if turn["role"] != "system"]
    if strange := [turn for turn in turns if turn["role"] not in _ROLES or turn.get("tool_calls")]:
        raise DataError(f"A turn of the role {strange[0]['role']} with tools cannot be written in Bedrock's format.")
    said = [{"role": turn["role"], "content": [{"text": str(turn["content"])}]} for turn in turns]
    return {"schemaVersion": BEDROCK_VERSION, **({"system": system} if system else {}), "messages": said}


def _body(row: dict[str, Any], side: str, key: str) -> dict[str, Any]:
    body = (row.get(side) or {}).get(key)
    if not isinstance(body, dict):
        raise DataError(
            f"`{side}.{key}` is not in the record.",
            hint="Bodies of more than 100 KB lie in S3 beside the log, streamed ones are lists: whole ones are read.",
        )
    return body


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    """The assistant's turn of Converse (and Nova), or of Claude."""
    message = (body.get("output") or {}).get("message") or {"role": "assistant", "content": body.get("content")}
    turn = _turn(message, "output")
    if turn["role"] != "assistant" or not turn["content"]:
        raise DataError("The invocation has no answer of text.")
    return turn


def _turn(turn: Any, at: str) -> dict[str, Any]:
    if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
        raise DataError(f"`{at}` has a turn without a role that is known.")
    content = turn.get("content")
    blocks = [{"text": content}] if isinstance(content, str) else [_block(each) for each in content or []]
    return {"role": turn["role"], "content": blocks}


def _block(block: Any) -> Any:
    """Claude writes `{"type": "text", "text": …}` where Converse has `{"text": …}`."""
    if isinstance(block, dict) and block.get("type") == "text":
        return {"text": block.get("text")}
    return block
