"""Before each step: the sequences that are written rather than read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, Batch, DataError, Row, Sampling, TokenSequence, collate, generate_from_tokens, prompt_of
from luthier_distillation import student_teacher_inputs as sides
from luthier_distillation.sequences import Asked, Found, Kept, Prompts, Writers

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from luthier.api import Data
    from luthier_distillation.distill import Distillation


class Writing:
    """Puts what `method/sequences` says in the place of the data's sequences; the data's prompts stay."""

    visits = 1

    def __init__(self, method: Distillation) -> None:
        self.method = method

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        batches = [list(self._asked(batch)) for batch in step]
        asked = [one for of_batch in batches for one, _ in of_batch]
        by = Writers(self._student, self._teacher, self._data.seed, number)
        found = iter(self.method.sequences(asked, by))
        made = []
        for of_batch in batches:
            rows = [(one.number, self._row(one, row, next(found))) for one, row in of_batch]
            kept = [(index, row) for index, row in rows if row is not None]
            made.append(collate([[row for _, row in kept]], examples=[index for index, _ in kept]))
        return made

    def state_dict(self) -> dict[str, Any]:
        return self.method.sequences.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.method.sequences.load_state_dict(state)

    @property
    def _data(self) -> Data:
        data: Data = self.method.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def _asked(self, batch: Batch) -> Iterator[tuple[Asked, Row]]:
        """The prompts of a batch, and its rows as they are."""
        examples = self._data.examples("train")
        for number, row, (own, shown) in zip(batch.examples, batch.sequence_groups, sides.of_row(batch), strict=True):
            whole, example = Row((own, shown) if len(row) > 1 else (own,)), examples[number]
            first = 0 if "messages" in example else self.method.sequences.text_prompt
            yield Asked(number, example, _prompt(own, first), _prompt(shown, first)), whole

    def _row(self, asked: Asked, row: Row, found: Found) -> Row | None:
        """What is trained on; None where that is nothing."""
        if isinstance(found, Kept):
            return row if row.sequences[0].weights.any() else None
        if not isinstance(found, Answer):
            return None
        if self.method.alignment.translates:
            return self._spoken(asked, found)
        prompts = (asked.ids, asked.shown)[: len(row.sequences)]
        return Row(tuple(_answered(prompt, found.ids) for prompt in prompts))

    def _spoken(self, asked: Asked, answer: Answer) -> Row:
        """The answer as text, for two tokenizers; it is learned where the data's answers would be."""
        if "messages" not in asked.example:
            raise DataError(
                "A plain text cannot be gone on with in two vocabularies.",
                where=str(asked.example.get("where")),
                hint="Use conversations, or method/sequences=data.",
            )
        seen = self._data.prompt(asked.example)
        turn = {"role": "assistant", "content": answer.text}
        told = {**seen, "messages": sides.muted(prompt_of(seen), turn)}
        if sides.SHOWN in seen:
            told[sides.SHOWN] = sides.muted(prompt_of({"messages": seen[sides.SHOWN]}), turn)
        return self.method.encode(told, self.method.model.tokenizer)

    def _student(self, prompts: Prompts, sampling: Sampling, numbers: Sequence[int]) -> list[Answer]:
        return _written(self.method.network, self.method.model.tokenizer, prompts, sampling, numbers)

    def _teacher(self, prompts: Prompts, sampling: Sampling, numbers: Sequence[int]) -> list[Answer]:
        device = next(self.method.network.parameters()).device
        return _written(*self.method.live.writer(device), prompts, sampling, numbers)


def _written(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Prompts,
    sampling: Sampling,
    numbers: Sequence[int],
) -> list[Answer]:
    """In the dtype of the weights: at one token a time, casting all of them costs more than it saves."""
    with torch.autocast(next(network.parameters()).device.type, enabled=False):
        return generate_from_tokens(network, tokenizer, prompts, sampling, numbers=numbers)


def _prompt(tokens: TokenSequence, first: int) -> NDArray[np.int32]:
    """The first tokens, where it is said how many; else what comes before the last answer, or all without one."""
    if first:
        return tokens.ids[: min(first, len(tokens) - 1)]
    trained = np.flatnonzero(tokens.weights)
    if not len(trained):
        return tokens.ids
    return tokens.ids[: int(np.flatnonzero(tokens.weights[: trained[-1]] == 0)[-1]) + 1]


def _answered(prompt: NDArray[np.int32], ids: Sequence[int]) -> TokenSequence:
    whole = np.concatenate([prompt, np.array(ids, dtype=np.int32)])
    weights = np.zeros(len(whole), dtype=np.float32)
    weights[len(prompt) :] = 1
    return TokenSequence(whole, weights)
