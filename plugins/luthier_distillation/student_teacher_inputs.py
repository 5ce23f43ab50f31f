"""Student and teacher inputs: the tokens that each reads of an example, which may differ."""

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

TEACHER_MESSAGES = "teacher_messages"
"""The key of an example under which the teacher's messages stand, where they differ from the student's."""


def encode(example: Example, tokenizer: PreTrainedTokenizerBase, *, allows_unanswered: bool) -> TokenSequence:
    """Plain text is trained on as a whole, a conversation on the assistant's turns.

    With `allows_unanswered`, a conversation without an assistant's turn is encoded too, with no trained token.
    """
    if "text" in example and "messages" not in example:
        return encode_text(example, tokenizer)
    if allows_unanswered and not any(turn["role"] == "assistant" for turn in example["messages"]):
        ids = encode_prompt(example, tokenizer)
        return TokenSequence(ids, np.zeros(len(ids), np.float32))
    return encode_conversation(example, tokenizer)


def teacher_example(example: Example) -> Example:
    """The example with the teacher's messages."""
    return {**example, "messages": example[TEACHER_MESSAGES]} if TEACHER_MESSAGES in example else example


def sequence_pairs(batch: Batch) -> list[tuple[TokenSequence, TokenSequence]]:
    """The student's and the teacher's sequence of each row of a batch; waits for the device."""
    sequences = iter(token_sequences(batch))
    rows = [[next(sequences) for _ in row] for row in batch.sequence_groups]
    return [(row[0], row[-1]) for row in rows]


def split_batch(batch: Batch) -> tuple[Batch, Batch]:
    """The student's batch and the teacher's, rows in the same order; one batch where each row is one sequence."""
    if all(len(row) == 1 for row in batch.sequence_groups):
        return batch, batch
    blocks: list[list[tuple[TokenSequence, TokenSequence]]] = [[] for _ in range(len(batch.input_ids))]
    for row, pair in zip(batch.sequence_groups, sequence_pairs(batch), strict=True):
        blocks[batch.boundaries[row[0]] // batch.input_ids.shape[1]].append(pair)
    student, teacher = (
        collate([[Row((pair[side],)) for pair in block] for block in blocks], examples=batch.examples).to(
            batch.input_ids.device
        )
        for side in (0, 1)
    )
    return student, teacher


def with_trained_turn(prompt: list[dict[str, Any]], turn: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation in which only the last turn is trained on: assistant turns of the prompt have the weight 0."""
    return [*({**one, "weight": 0} if one["role"] == "assistant" else one for one in prompt), turn]
