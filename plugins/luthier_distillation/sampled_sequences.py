"""Sampled sequences: generated answers take the place of the data's before each optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import (
    Answer,
    Batch,
    Data,
    DataError,
    Example,
    Row,
    Sampling,
    TokenSequence,
    collate,
    generate_from_tokens,
    prompt_of,
    turn_example,
)
from luthier_distillation.sequences import (
    ChosenSequence,
    DataSequence,
    Generators,
    PromptIds,
    SequencePrompt,
    SequenceSource,
)
from luthier_distillation.step_context import StepContext
from luthier_distillation.student_teacher_inputs import TEACHER_MESSAGES, sequence_pairs, with_trained_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class SampledSequences:
    """Replaces the data's answers by those that `source` chooses; the data's prompts stay.

    `encode` makes a row of an example and the student's tokenizer. With `reencodes`, an answer is encoded as text for
    student and teacher, whose vocabularies differ; without, its token ids are used for both.
    """

    visits = 1

    def __init__(
        self,
        source: SequenceSource,
        encode: Callable[[Example, PreTrainedTokenizerBase], Row],
        context: Callable[[], StepContext],
        *,
        reencodes: bool,
    ) -> None:
        self.source, self.encode, self.context, self.reencodes = source, encode, context, reencodes

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        context = self.context()
        batches = [list(self._prompts(batch, context.data)) for batch in step]
        prompts = [prompt for of_batch in batches for prompt, _ in of_batch]
        chosen = iter(self.source(prompts, _generators(context, number)))
        prepared = []
        for of_batch in batches:
            rows = [(prompt.number, self._row(context, prompt, row, next(chosen))) for prompt, row in of_batch]
            trained = [(index, row) for index, row in rows if row is not None]
            prepared.append(collate([[row for _, row in trained]], examples=[index for index, _ in trained]))
        return prepared

    def state_dict(self) -> dict[str, Any]:
        return self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state)

    def _prompts(self, batch: Batch, data: Data) -> Iterator[tuple[SequencePrompt, Row]]:
        """The prompt of each row of a batch, and the row."""
        examples = data.examples("train")
        turns = batch.turns or (-1,) * len(batch.examples)  # -1: whole conversations
        rows = zip(batch.examples, turns, batch.sequence_groups, sequence_pairs(batch), strict=True)
        for number, after, row, pair in rows:
            example = turn_example(examples[number], after)
            first = 0 if "messages" in example else self.source.text_prompt
            student_ids, teacher_ids = (_prompt_ids(sequence, first) for sequence in pair)
            yield SequencePrompt(number, example, student_ids, teacher_ids), Row(pair if len(row) > 1 else pair[:1])

    def _row(self, context: StepContext, prompt: SequencePrompt, row: Row, chosen: ChosenSequence) -> Row | None:
        """The row to train on; None where it has no trained token."""
        if isinstance(chosen, DataSequence):
            return row if row.sequences[0].weights.any() else None
        if not isinstance(chosen, Answer):
            return None
        if self.reencodes:
            return self._reencoded(context, prompt, chosen)
        prompts = (prompt.student_ids, prompt.teacher_ids)[: len(row.sequences)]
        return Row(tuple(_with_answer(ids, chosen.ids) for ids in prompts))

    def _reencoded(self, context: StepContext, prompt: SequencePrompt, answer: Answer) -> Row:
        """The answer as the last turn of the conversation; DataError for a plain text."""
        if "messages" not in prompt.example:
            raise DataError(
                "A plain text cannot be continued in two vocabularies.",
                where=str(prompt.example.get("where")),
                hint="Use conversations, or method/sequences=data.",
            )
        prompted = context.data.prompt(prompt.example)
        turn = {"role": "assistant", "content": answer.text}
        answered = {**prompted, "messages": with_trained_turn(prompt_of(prompted), turn)}
        if TEACHER_MESSAGES in prompted:
            teacher_prompt = prompt_of({"messages": prompted[TEACHER_MESSAGES]})
            answered[TEACHER_MESSAGES] = with_trained_turn(teacher_prompt, turn)
        return self.encode(answered, context.tokenizer)


def _generators(context: StepContext, number: int) -> Generators:
    def student(prompts: PromptIds, sampling: Sampling, numbers: Sequence[int]) -> list[Answer]:
        return _generate(context.network, context.tokenizer, prompts, sampling, numbers)

    def teacher(prompts: PromptIds, sampling: Sampling, numbers: Sequence[int]) -> list[Answer]:
        return _generate(*context.teacher(), prompts, sampling, numbers)

    return Generators(student, teacher, context.data.seed, number)


def _generate(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: PromptIds,
    sampling: Sampling,
    numbers: Sequence[int],
) -> list[Answer]:
    """Generate in the dtype of the weights: at one token a time, casting all of them costs more than it saves."""
    with torch.autocast(next(network.parameters()).device.type, enabled=False):
        return generate_from_tokens(network, tokenizer, prompts, sampling, numbers=numbers)


def _prompt_ids(sequence: TokenSequence, first: int) -> NDArray[np.int32]:
    """The `first` tokens; where it is 0, the tokens before the last answer, or all where there is none."""
    if first:
        return sequence.ids[: min(first, len(sequence) - 1)]
    trained = np.flatnonzero(sequence.weights)
    if not len(trained):
        return sequence.ids
    return sequence.ids[: int(np.flatnonzero(sequence.weights[: trained[-1]] == 0)[-1]) + 1]


def _with_answer(prompt: NDArray[np.int32], answer: Sequence[int]) -> TokenSequence:
    """The prompt and the answer, of which the answer is trained on."""
    ids = np.concatenate([prompt, np.array(answer, dtype=np.int32)])
    weights = np.zeros(len(ids), dtype=np.float32)
    weights[len(prompt) :] = 1
    return TokenSequence(ids, weights)
