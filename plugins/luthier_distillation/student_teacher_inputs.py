"""What student and teacher each read of an example: the same tokens, or a sequence of its own for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from luthier.api import (
    Batch,
    Example,
    Row,
    TokenSequence,
    collate,
    encode_conversation,
    encode_prompt,
    encode_text,
    token_sequences,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHOWN = "teacher_messages"
"""The key of an example under which stand the messages that the teacher is shown, where they are others."""


def tokens(example: Example, tokenizer: PreTrainedTokenizerBase, *, asking: bool) -> TokenSequence:
    """Plain text as a whole, of a conversation the assistant's turns; with `asking`, also what nobody answered yet."""
    if "text" in example and "messages" not in example:
        return encode_text(example, tokenizer)
    if asking and not any(turn["role"] == "assistant" for turn in example["messages"]):
        ids = encode_prompt(example, tokenizer)
        return TokenSequence(ids, np.zeros(len(ids), np.float32))
    return encode_conversation(example, tokenizer)


def shown(example: Example) -> Example:
    """The example as the teacher sees it."""
    return {**example, "messages": example[SHOWN]} if SHOWN in example else example


def of_row(batch: Batch) -> list[tuple[TokenSequence, TokenSequence]]:
    """For each row of a batch what the student reads and what the teacher reads; waits for the device."""
    every = iter(token_sequences(batch))
    found = [[next(every) for _ in row] for row in batch.sequence_groups]
    return [(each[0], each[-1]) for each in found]


def apart(batch: Batch) -> tuple[Batch, Batch]:
    """The student's batch and the teacher's, rows in the same order; one batch where each row is one sequence."""
    if all(len(row) == 1 for row in batch.sequence_groups):
        return batch, batch
    blocks: list[list[tuple[TokenSequence, TokenSequence]]] = [[] for _ in range(len(batch.input_ids))]
    for row, pair in zip(batch.sequence_groups, of_row(batch), strict=True):
        blocks[batch.boundaries[row[0]] // batch.input_ids.shape[1]].append(pair)
    ours, theirs = (
        collate([[Row((pair[side],)) for pair in block] for block in blocks], examples=batch.examples).to(
            batch.input_ids.device
        )
        for side in (0, 1)
    )
    return ours, theirs


def muted(prompt: list[dict[str, Any]], turn: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation of which only the last turn is learned."""
    return [*({**each, "weight": 0} if each["role"] == "assistant" else each for each in prompt), turn]
