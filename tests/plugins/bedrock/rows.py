"""Rows of each kind of Bedrock's files, with what is hard about them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMAGE = {"format": "png", "source": {"s3Location": {"uri": "s3://violins/one.png", "bucketOwner": "123456789012"}}}
TOOLS = {"tools": [{"toolSpec": {"name": "look", "description": "Look.", "inputSchema": {"json": {"type": "object"}}}}]}
CONVERSATION: dict[str, Any] = {
    "schemaVersion": "bedrock-conversation-2024",
    "system": [{"text": "Be brief."}, {"text": "Be kind."}],
    "messages": [
        {"role": "user", "content": [{"text": "Which wood?"}, {"image": IMAGE}]},
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "I look.", "signature": "s"}}},
                {"text": "Let me "},
                {"text": "see."},
                {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"at": "top"}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "t1", "content": [{"json": {"wood": "spruce"}}], "status": "success"}},
                {"text": "Well?"},
            ],
        },
        {"role": "assistant", "content": [{"text": "Spruce."}]},
    ],
    "toolConfig": TOOLS,
}
SIMPLE: dict[str, Any] = {
    "schemaVersion": "bedrock-conversation-2024",
    "messages": [
        {"role": "user", "content": [{"text": "Which wood?"}]},
        {"role": "assistant", "content": [{"text": "Spruce."}]},
    ],
}
PROMPT = {**SIMPLE, "messages": SIMPLE["messages"][:1]}
PLAIN: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Which wood?"}, {"role": "assistant", "content": "Spruce."}]}
]
LOG: dict[str, Any] = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2026-05-01T10:00:00Z",
    "operation": "Converse",
    "modelId": "amazon.nova-pro-v1:0",
    "requestMetadata": {"project": "woods"},
    "input": {"inputTokenCount": 9, "inputBodyJson": {"messages": SIMPLE["messages"][:1], "inferenceConfig": {}}},
    "output": {"outputBodyJson": {"output": {"message": SIMPLE["messages"][1]}, "stopReason": "end_turn"}},
}
RFT: dict[str, Any] = {
    "id": "one",
    "messages": [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1, in wood?"}],
    "reference_answer": {"sum": 2, "steps": ["1 + 1"]},
    "level": 3,
}
KINDS: dict[str, list[dict[str, Any]]] = {
    "conversation": [CONVERSATION, SIMPLE, PROMPT],
    "log": [LOG],
    "rft": [RFT, {**RFT, "id": "two", "reference_answer": "2"}],
    "text": [{"text": "Wood is light.", "source": "a book"}, {"text": " \nWood\n"}],
    "input": [{"input": "Wood is light."}],
    "evaluation": [
        {"prompt": "Which wood?", "referenceResponse": "Spruce.", "category": "wood"},
        {
            "prompt": "Which wood?",
            "referenceResponse": "Spruce.",
            "modelResponses": [{"response": "Cedar.", "modelIdentifier": "mine"}],
            "other": 1,
        },
    ],
    "optimization": [
        {
            "version": "bedrock-2026-05-14",
            "templateId": "woods",
            "promptTemplate": "In a {{tone}} way: {{ question }}?",
            "steeringCriteria": ["SHORT"],
            "evaluationSamples": [
                {"inputVariables": [{"tone": "kind"}, {"question": "which wood"}], "referenceResponse": "Spruce."},
                {
                    "inputVariables": [{"tone": "dry", "question": "which glue"}],
                    "referenceResponse": "Hide.",
                    "weight": 2,
                },
            ],
        },
        {
            "version": "bedrock-2026-05-14",
            "templateId": "glues",
            "promptTemplate": "{{question}}",
            "evaluationSamples": [{"inputVariables": [{"question": "Which?"}]}],
        },
    ],
}


def write(file: Path, rows: list[Any]) -> None:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


WRONG: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", " ", "user", [], {}, [None], [{}], {"text": None}, [{"text": 3}])


def damaged(chance: random.Random) -> dict[str, Any]:
    """A row of some kind in which up to three values are missing or something else."""
    row = copy.deepcopy(chance.choice(chance.choice(list(KINDS.values()))))
    for _ in range(chance.randint(1, 3)):
        node, key = chance.choice(list(_places(row)) or [({}, "")])
        if chance.random() < 0.3 and node:
            del node[key]
        elif node:
            node[key] = copy.deepcopy(chance.choice(WRONG))
    return row


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    pairs = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    for key, inner in pairs:
        yield node, key
        yield from _places(inner)
