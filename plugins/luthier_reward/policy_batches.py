"""Sampled answers as micro-batches to train on, with per-token values beside the tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from luthier.api import Batch, collate, scatter_to_tokens
from luthier_reward.prompt_groups import Group
from luthier_reward.reward_hacking import group_statistics

ROLLOUT_LOG_PROBS = "drawn"
COUNTED_ANSWERS, COUNTED_TOKENS = "weighing", "weighing_tokens"
"""Keys of `extras` and `values`. They and those of `group_statistics` are in checkpoints, so they never change."""


@dataclass(frozen=True, slots=True)
class AnswerSelection:
    """The answers of a group that are trained on, and those that count in the mean of the loss, by their indices.

    `group_index` is the place of the group among the P groups of the step. The two differ for a group whose advantages
    are all 0: none of its answers is computed, and the mean is taken over all of them.
    """

    group_index: int
    group: Group
    trained: Sequence[int]
    counted: Sequence[int]


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """Where the tokens of one trained answer are: its group, its index there, and int64 [n] in the flattened batch."""

    batch: Batch
    group_index: int
    answer_index: int
    positions: Tensor


class PolicyBatches:
    """The micro-batches of one optimizer step, made from the selected answers of each.

    `extras` of each batch holds, per token [B, T], the `answer` that it belongs to (int64, from 0 within the batch) and
    its log-probability in the distribution that it was sampled from (float32, `ROLLOUT_LOG_PROBS`). `values` holds the
    statistics of each group, with the numbers of answers and tokens that the mean of the loss is taken over.
    """

    def __init__(self, selections: Sequence[Sequence[AnswerSelection]]) -> None:
        self.selections = selections
        self.batches = [_collated(of_batch) for of_batch in selections]

    def trained(self) -> list[Batch]:
        """The batches with at least one answer to train on."""
        pairs = zip(self.batches, self.selections, strict=True)
        return [batch for batch, of_batch in pairs if any(selection.trained for selection in of_batch)]

    def answers(self) -> Iterator[AnswerTokens]:
        """The positions of each answer that is trained on."""
        for batch, of_batch in zip(self.batches, self.selections, strict=True):
            sequences = iter(batch.sequence_numbers)
            for selection in of_batch:
                for index in selection.trained or (None,):
                    stop = batch.boundaries[next(sequences) + 1] - 1
                    if index is not None:
                        start = stop - len(selection.group.answers[index].ids)
                        yield AnswerTokens(batch, selection.group_index, index, torch.arange(start, stop))

    def set_token_values(self, name: str, values: Tensor) -> None:
        """Put `values` [P, G, T] into `extras[name]` of each batch, float32 [B, T], at the tokens they belong to."""
        for batch in self.batches:
            batch.extras[name] = torch.zeros(batch.input_ids.shape)
        for answer in self.answers():
            own = values[answer.group_index, answer.answer_index, : len(answer.positions)]
            answer.batch.extras[name].view(-1)[answer.positions] = own

    def token_values(self, compute: Callable[[Mapping[str, Tensor]], Tensor], like: Tensor) -> Tensor:
        """What `compute` makes of the `extras` [n] of each trained answer, as [P, G, T] like `like`; 0 elsewhere."""
        values = torch.zeros_like(like)
        for answer in self.answers():
            extras = {name: each.flatten()[answer.positions] for name, each in answer.batch.extras.items()}
            own = compute(extras)
            values[answer.group_index, answer.answer_index, : len(own)] = own
        return values


def _collated(selections: Sequence[AnswerSelection]) -> Batch:
    rows = []
    for selection in selections:
        lengths = [len(selection.group.answers[index].ids) for index in selection.counted]
        counts = {COUNTED_ANSWERS: float(len(lengths)), COUNTED_TOKENS: float(sum(lengths))}
        rows.append(selection.group.row(selection.trained, {**group_statistics(selection.group), **counts}))
    batch = collate([rows], examples=[selection.group.example_index for selection in selections])
    answers = [
        selection.group.answers[index] if selection.trained else None
        for selection in selections
        for index in selection.trained or [0]
    ]
    batch.extras["answer"] = scatter_to_tokens(
        [torch.full((len(answer.ids) if answer else 0,), place) for place, answer in enumerate(answers)], batch
    )
    batch.extras[ROLLOUT_LOG_PROBS] = scatter_to_tokens(
        [torch.tensor(answer.sampling_logprobs if answer else []) for answer in answers], batch
    )
    return batch
