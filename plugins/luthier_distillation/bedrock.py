"""Amazon Bedrock's formats: invocation logs are read, and a teacher's answers are written as training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from luthier.api import BEDROCK_VERSION, BedrockConversation, DataError, Format

if TYPE_CHECKING:
    from luthier.api import Example

_ROLES = ("user", "assistant")


@dataclass(frozen=True)
class BedrockLog(Format):
    """Records of model invocation logging, `schemaType` ModelInvocationLog, of the operations Converse and InvokeModel.

    Of InvokeModel those bodies are read that have `messages`, as Nova's and Claude's do. With `answers` the model's
    answer is the last turn (Bedrock's usePromptResponse), without the example is the prompt alone. `model` and
    `metadata` are filters, as Bedrock's are. An invocation that they leave out, or that has no answer of text, is a bad
    row; with `data.on_bad_row=skip` it is skipped and counted.
    """

    answers: bool = True
    model: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    name = "bedrock_log"
    expects = "`schemaType` ModelInvocationLog, and `input` and `output` with their bodies"

    def recognises(self, row: dict[str, Any]) -> str:
        return "`schemaType` is ModelInvocationLog" if row.get("schemaType") == "ModelInvocationLog" else ""

    def __call__(self, row: dict[str, Any], counts: Counter[str]) -> Example:
        if row.get("schemaType") != "ModelInvocationLog":
            raise DataError(f"`schemaType` is {row.get('schemaType')!r}, where 'ModelInvocationLog' is expected.")
        self._filter(row)
        request = _body(row, "input", "inputBodyJson")
        turns = [_turn(turn, "input.messages") for turn in request.get("messages") or []]
        if self.answers:
            turns.append(_answer(_body(row, "output", "outputBodyJson")))
        system = request.get("system") or []
        conversation = {
            "schemaVersion": BEDROCK_VERSION,
            "system": [{"text": system}] if isinstance(system, str) else [_block(block) for block in system],
            "messages": turns,
        }
        return BedrockConversation(answered=self.answers)(conversation, counts)

    def _filter(self, row: dict[str, Any]) -> None:
        if self.model is not None and self.model not in str(row.get("modelId")):
            raise DataError(f"The invocation is of {row.get('modelId')}, not of {self.model}.")
        metadata = row.get("requestMetadata") or {}
        for key, value in self.metadata.items():
            if metadata.get(key) != value:
                raise DataError(
                    f"The invocation's `requestMetadata` has {metadata.get(key)!r} for {key}, not {value!r}."
                )


def prompt_and_answer(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A conversation as a line of Bedrock's training data, schemaVersion bedrock-conversation-2024; text turns only."""
    system = [{"text": str(turn["content"])} for turn in messages if turn["role"] == "system"]
    turns = [turn for turn in messages if turn["role"] != "system"]
    if with_tools := [turn for turn in turns if turn["role"] not in _ROLES or turn.get("tool_calls")]:
        raise DataError(f"A turn of the role {with_tools[0]['role']} with tools cannot be written in Bedrock's format.")
    written = [{"role": turn["role"], "content": [{"text": str(turn["content"])}]} for turn in turns]
    return {"schemaVersion": BEDROCK_VERSION, **({"system": system} if system else {}), "messages": written}


def _body(row: dict[str, Any], side: str, key: str) -> dict[str, Any]:
    body = (row.get(side) or {}).get(key)
    if not isinstance(body, dict):
        raise DataError(
            f"`{side}.{key}` is not in the record.",
            hint="Bodies of more than 100 KB lie in S3 beside the log, streamed ones are lists: whole ones are read.",
        )
    return body


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    """The assistant's turn of a response of Converse (and Nova), or of Claude."""
    message = (body.get("output") or {}).get("message") or {"role": "assistant", "content": body.get("content")}
    turn = _turn(message, "output")
    if turn["role"] != "assistant" or not turn["content"]:
        raise DataError("The invocation has no answer of text.")
    return turn


def _turn(turn: Any, at: str) -> dict[str, Any]:
    if not isinstance(turn, dict) or turn.get("role") not in _ROLES:
        raise DataError(f"`{at}` has a turn whose role is neither user nor assistant.")
    content = turn.get("content")
    blocks = [{"text": content}] if isinstance(content, str) else [_block(block) for block in content or []]
    return {"role": turn["role"], "content": blocks}


def _block(block: Any) -> Any:
    """The block in Converse's form `{"text": …}`; Claude writes `{"type": "text", "text": …}`."""
    if isinstance(block, dict) and block.get("type") == "text":
        return {"text": block.get("text")}
    return block
