"""Bedrock's invocation logs are read, and a teacher's answers are written as its training data."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from luthier.data.formats.bedrock_conversation import BedrockConversation
from luthier.errors import DataError
from luthier_distillation.bedrock import BedrockLog, prompt_and_answer

CONVERSE: dict[str, Any] = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "operation": "Converse",
    "modelId": "amazon.nova-pro-v1:0",
    "requestMetadata": {"project": "woods"},
    "input": {
        "inputBodyJson": {
            "system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"text": "What is it made of?"}]}],
        }
    },
    "output": {"outputBodyJson": {"output": {"message": {"role": "assistant", "content": [{"text": "Spruce."}]}}}},
}
CLAUDE: dict[str, Any] = {
    **CONVERSE,
    "operation": "InvokeModel",
    "modelId": "anthropic.claude-3-haiku",
    "input": {
        "inputBodyJson": {
            "anthropic_version": "bedrock-2023-05-31",
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "What is it made of?"}],
        }
    },
    "output": {"outputBodyJson": {"role": "assistant", "content": [{"type": "text", "text": "Spruce."}]}},
}
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is it made of?"},
    {"role": "assistant", "content": "Spruce."},
]


@pytest.mark.parametrize("row", [CONVERSE, CLAUDE], ids=["converse", "claude"])
def test_invocation_logs_are_conversations(row: dict[str, Any]) -> None:
    assert BedrockLog()(row, Counter())["messages"] == MESSAGES
    assert BedrockLog(answers=False)(row, Counter())["messages"] == MESSAGES[:2]


def test_filters_and_what_cannot_be_read_are_refused_with_the_reason() -> None:
    assert BedrockLog(model="nova", metadata={"project": "woods"})(CONVERSE, Counter())
    for log, row, message in (
        (BedrockLog(model="nova"), CLAUDE, "not of nova"),
        (BedrockLog(metadata={"project": "stones"}), CONVERSE, "'woods' for project"),
        (BedrockLog(), {**CONVERSE, "output": {"outputBodyJson": [1]}}, "not in the record"),
        (BedrockLog(), {**CONVERSE, "output": {"outputBodyJson": {}}}, "no answer of text"),
        (BedrockLog(), {"messages": []}, "ModelInvocationLog"),
    ):
        with pytest.raises(DataError, match=message):
            log(row, Counter())


def test_answers_are_written_as_bedrock_reads_them_and_its_prompts_need_none() -> None:
    line = prompt_and_answer(MESSAGES)
    assert BedrockConversation()(line, Counter())["messages"] == MESSAGES
    prompt = {**line, "messages": line["messages"][:1]}
    assert BedrockConversation(answered=False)(prompt, Counter())["messages"] == MESSAGES[:2]
    with pytest.raises(DataError, match="role tool"):
        prompt_and_answer([{"role": "tool", "content": "2"}])
