"""Learn from single answers that are liked or not."""

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
    row_with_shared_prefix,
    token_sequences,
)
from luthier_preference.preference_method import AnswerMethod

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger("luthier")
LIKED = {True: 1.0, "true": 1.0, "yes": 1.0, False: 0.0, "false": 0.0, "no": 0.0}  # 1 is True, 0 is False


class Unpaired(AnswerMethod):
    """Make liked answers more likely and disliked ones less, each by itself.

    An example is an answer with a column `liked` (true or false), or a pair, of which the chosen answer is liked and
    the rejected one is not. The loss is the mean of the objective over answers.

    The drift from the reference is estimated from answers under the prompts of their neighbours in the micro-batch,
    which costs a forward pass for each network; where the reference is kept and not computed, from the answers
    themselves, which is said.
    """

    measures: Mapping[str, Measure] = {"reward_accuracy": Measure(ratio)}

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, objective: AnswerLoss) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "chosen" in example and "rejected" in example:
            pair = [encode_continuation(example, answer, tokenizer) for answer in ("chosen", "rejected")]
            return row_with_shared_prefix(pair, {"liked": 1.0})
        told = example.get("liked")
        if (liked := LIKED.get(told.lower() if isinstance(told, str) else told)) is None:
            raise DataError(
                f"The column `liked` is {told!r}, where true or false is expected.",
                hint="Rename the column that says it: data.rename={label: liked}.",
            )
        messages = example["messages"]
        answer = {**example, "messages": messages[:-1], "answer": messages[-1:]}
        return Row((encode_continuation(answer, "answer", tokenizer),), {"liked": liked})

    def loss(self, batch: Batch) -> Loss:
        answers = self.answers(self.computable(batch))
        losses = self.objective(answers)
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), _told(answers))

    def answers(self, batch: Batch) -> RatedAnswers:
        """The log-ratios of a batch's answers, with gradients."""
        gained = self.sequence_log_probs(batch) - self.before(batch)
        first = batch.values["liked"] > 0
        liked = [
            first[number] ^ (place > 0) for number, row in enumerate(batch.sequence_groups) for place in range(len(row))
        ]
        return RatedAnswers(gained, torch.stack(liked) if liked else first, lambda: self._drift(batch, gained))

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """`reward_accuracy`: liked answers gained on the reference, others lost; before training that is a half."""
        self.learn_reference(rows)
        found = {name: np.zeros((len(rows), 2)) for name in ("loss", "reward_accuracy")}
        for group, batch in self.in_batches(rows):
            answers = self.answers(batch)
            owner = np.repeat(group, [len(row) for row in batch.sequence_groups])
            for name, values in (("loss", self.objective(answers)), ("reward_accuracy", _right(answers))):
                each = values.double().cpu().numpy()
                np.add.at(found[name], owner, np.stack([each, np.ones_like(each)], axis=1))
        return found

    @torch.no_grad()
    def _drift(self, batch: Batch, gained: Tensor) -> Tensor:
        """The mean log-ratio, an estimate of KL(p ‖ p_ref) from answers that this prompt did not choose."""
        if not self.switches:
            said = (
                "The drift from the kept reference is estimated from the answers themselves, not from mismatched ones."
            )
            if said not in self.warnings:
                self.warnings.append(said)
                log.warning(said)
            return gained.detach().mean() if len(gained) else gained.sum()
        if not self.adapted or not batch.sequence_groups:
            return gained.new_zeros(())
        mixed = self.computable(collate([_mismatched(token_sequences(batch))]).to(batch.input_ids.device))
        now = self.sequence_log_probs(mixed)
        with adaptation_disabled(self.network, self.adaptation):
            return (now - self.sequence_log_probs(mixed)).mean()


def _mismatched(answered: Sequence[TokenSequence]) -> list[Row]:
    """Each prompt with the answer of another sequence."""
    starts = [int(np.argmax(each.weights != 0)) for each in answered]
    rows = []
    for place, (prompt, start) in enumerate(zip(answered, starts, strict=True)):
        other = (place + 1) % len(answered)
        answer, begin = answered[other], starts[other]
        ids = np.concatenate([prompt.ids[:start], answer.ids[begin:]])
        rows.append(Row((TokenSequence(ids, np.concatenate([prompt.weights[:start], answer.weights[begin:]])),)))
    return rows


def _right(answers: RatedAnswers) -> Tensor:
    rose = (answers.ratio > 0).float() + 0.5 * (answers.ratio == 0).float()
    return torch.where(answers.liked, rose, 1 - rose)


def _told(answers: RatedAnswers) -> dict[str, tuple[Tensor, Tensor]]:
    ratio_, liked = answers.ratio.detach(), answers.liked.float()
    count = torch.full_like(ratio_.sum(), len(ratio_))
    return {
        "accuracy": (_right(answers).detach().sum(), count),
        "chosen_ratio": ((ratio_ * liked).sum(), liked.sum()),
        "rejected_ratio": ((ratio_ * (1 - liked)).sum(), (1 - liked).sum()),
        "kl": (ratio_.square().sum() / 2, count),
    }
