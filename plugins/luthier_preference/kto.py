"""Preference optimization on single answers with a binary label (KTO and APO without pairs)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.api import (
    Adaptation,
    AnswerLoss,
    Batch,
    DataError,
    Example,
    Loss,
    Measure,
    Model,
    Optimizer,
    RatedAnswers,
    Row,
    TokenSequence,
    adaptation_disabled,
    collate,
    encode_continuation,
    ratio,
    row_means,
    row_with_shared_prefix,
    token_sequences,
)
from luthier_preference.preference_method import PreferenceMethod, halved_ties

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("luthier")
LIKED = {True: 1.0, "true": 1.0, "yes": 1.0, False: 0.0, "false": 0.0, "no": 0.0}  # 1 is True, 0 is False


class UnpairedPreference(PreferenceMethod):
    """Make liked answers more likely and disliked ones less, without pairs (Ethayarajh et al., 2024).

    An example is an answer with a column `liked` (true or false), or a pair, of which the chosen answer is liked and
    the rejected one is not. The loss is the mean of the objective over answers.

    The reference point, KL(π_θ ‖ π_ref), is estimated from mismatched pairs of prompt and answer within the
    micro-batch, at the cost of a forward pass under each policy. With a cached reference policy it is estimated from
    the answers themselves, with a warning.
    """

    measures: Mapping[str, Measure] = {"reward_accuracy": Measure(ratio)}

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, objective: AnswerLoss) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "chosen" in example and "rejected" in example:
            pair = [encode_continuation(example, answer, tokenizer) for answer in ("chosen", "rejected")]
            return row_with_shared_prefix(pair, {"liked": 1.0})
        label = example.get("liked")
        if (liked := LIKED.get(label.lower() if isinstance(label, str) else label)) is None:
            raise DataError(
                f"The column `liked` is {label!r}, where true or false is expected.",
                hint="Rename the column with the labels: 'data.rename={label: liked}'.",
            )
        messages = example["messages"]
        answer = {**example, "messages": messages[:-1], "answer": messages[-1:]}
        return Row((encode_continuation(answer, "answer", tokenizer),), {"liked": liked})

    def loss(self, batch: Batch) -> Loss:
        answers = self.answers(batch)
        losses = self.objective(answers)
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), _metrics(answers))

    def answers(self, batch: Batch) -> RatedAnswers:
        """The log-ratios of a batch's answers, with gradients."""
        log_ratio = self.sequence_log_probs(batch) - self.reference_log_probs(batch)
        first = batch.values["liked"] > 0
        liked = [
            first[number] ^ (place > 0) for number, row in enumerate(batch.sequence_groups) for place in range(len(row))
        ]
        labels = torch.stack(liked) if liked else first
        return RatedAnswers(log_ratio, labels, lambda: self._reference_point(batch, log_ratio))

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each row, summed over its answers.

        `reward_accuracy`: whether the log-ratio of a liked answer is positive, and that of another negative; 0 counts
        ½, as before training.
        """
        self.compute_reference(rows)
        statistics = {name: np.zeros((len(rows), 2)) for name in ("loss", "reward_accuracy")}
        for indices, batch in self.batches_with_reference(rows):
            answers = self.answers(batch)
            owner = np.repeat(indices, [len(row) for row in batch.sequence_groups])
            for name, values in (("loss", self.objective(answers)), ("reward_accuracy", _correct(answers))):
                np.add.at(statistics[name], owner, row_means(values.double().cpu().numpy()))
        return statistics

    @torch.no_grad()
    def _reference_point(self, batch: Batch, log_ratio: Tensor) -> Tensor:
        """The mean log-ratio of mismatched answers: an estimate of KL(π_θ ‖ π_ref), a scalar."""
        if self.caches_reference:
            warning = (
                "The KL divergence from the cached reference policy is estimated from the answers themselves, not from "
                "mismatched ones."
            )
            if warning not in self.warnings:
                self.warnings.append(warning)
                log.warning(warning)
            return log_ratio.detach().mean() if len(log_ratio) else log_ratio.sum()
        if not self.adapted or not batch.sequence_groups:
            return log_ratio.new_zeros(())
        mismatched = collate([_mismatched(token_sequences(batch))]).to(batch.input_ids.device)
        log_probs = self.sequence_log_probs(mismatched)
        with adaptation_disabled(self.network, self.adaptation):
            return (log_probs - self.sequence_log_probs(mismatched)).mean()


def _mismatched(sequences: Sequence[TokenSequence]) -> list[Row]:
    """Each prompt with the answer of the next sequence."""
    starts = [int(np.argmax(sequence.weights != 0)) for sequence in sequences]
    rows = []
    for index, (prompt, start) in enumerate(zip(sequences, starts, strict=True)):
        following = (index + 1) % len(sequences)
        answer, begin = sequences[following], starts[following]
        ids = np.concatenate([prompt.ids[:start], answer.ids[begin:]])
        rows.append(Row((TokenSequence(ids, np.concatenate([prompt.weights[:start], answer.weights[begin:]])),)))
    return rows


def _correct(answers: RatedAnswers) -> Tensor:
    positive = halved_ties(answers.log_ratio)
    return torch.where(answers.liked, positive, 1 - positive)


def _metrics(answers: RatedAnswers) -> dict[str, tuple[Tensor, Tensor]]:
    """The metrics of a step as (sum, count) over answers; log-ratios in nats per answer, `kl` by k2."""
    log_ratio, liked = answers.log_ratio.detach(), answers.liked.float()
    count = torch.full_like(log_ratio.sum(), len(log_ratio))
    return {
        "accuracy": (_correct(answers).detach().sum(), count),
        "chosen_ratio": ((log_ratio * liked).sum(), liked.sum()),
        "rejected_ratio": ((log_ratio * (1 - liked)).sum(), (1 - liked).sum()),
        "kl": (log_ratio.square().sum() / 2, count),
    }
