"""Learn from pairs of answers, one preferred to the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.api import (
    Adaptation,
    Batch,
    DataError,
    Example,
    Loss,
    Measure,
    Model,
    Optimizer,
    PairLoss,
    PreferencePairs,
    Row,
    encode_continuation,
    ratio,
    row_means,
    row_with_shared_prefix,
    sequence_sums,
    shifted_targets,
)
from luthier_preference.preference_method import AnswerMethod
from luthier_preference.reference_use import uses_reference

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class DirectPreference(AnswerMethod):
    """Make the chosen answer of each pair more likely than the rejected one, by an objective of the pair.

    The loss is the mean of the objective over pairs. The prompt of a pair is computed once for both answers. A column
    `margin` says how much better the chosen answer is, for the objectives that ask.
    """

    measures: Mapping[str, Measure] = {
        "preference_accuracy": Measure(ratio),
        "chosen_log_prob": Measure(ratio),
        "rejected_log_prob": Measure(ratio, better="lower"),
    }

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, objective: PairLoss) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective
        self.asks_reference = uses_reference(objective)
        if self.asks_reference:
            self.measures = {**self.measures, "reward_accuracy": Measure(ratio), "reward_margin": Measure(ratio)}

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "chosen" not in example or "rejected" not in example:
            raise DataError(
                f"{type(self).__name__} learns from pairs, and the example has no `chosen` and `rejected` answer.",
                hint="Use data.format=preference; method=kto learns from single answers that are liked or not.",
            )
        answers = [encode_continuation(example, answer, tokenizer) for answer in ("chosen", "rejected")]
        return row_with_shared_prefix(answers, {"margin": float(example.get("margin") or 0.0)})

    def loss(self, batch: Batch) -> Loss:
        pairs = self.pairs(self.computable(batch))
        losses = self.objective(pairs)
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), _told(pairs, self.asks_reference))

    def pairs(self, batch: Batch) -> PreferencePairs:
        """The log-probabilities of a batch's answers, with gradients."""
        found = self.sequence_log_probs(batch).view(-1, 2)
        weights = shifted_targets(batch)[1].view(batch.input_ids.shape)
        tokens = sequence_sums(weights, batch).view(-1, 2)

        def reference() -> tuple[Tensor, Tensor]:
            before = self.before(batch).view(-1, 2)
            return before[:, 0], before[:, 1]

        return PreferencePairs(found[:, 0], found[:, 1], tokens[:, 0], tokens[:, 1], batch.values["margin"], reference)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """`preference_accuracy`: the model finds the chosen answer more likely than the rejected one, as a whole.

        `reward_accuracy` and `reward_margin`: its log-ratio to the reference is higher, and by how many nats; before
        training the two are equal, which counts half.
        """
        self.learn_reference(rows)
        statistics: dict[str, NDArray[np.float64]] = {}
        for group, batch in self.in_batches(rows):
            pairs = self.pairs(batch)
            values = {
                "loss": self.objective(pairs),
                "preference_accuracy": _wins(pairs.chosen - pairs.rejected),
                "chosen_log_prob": pairs.chosen,
                "rejected_log_prob": pairs.rejected,
            }
            if self.asks_reference:
                values |= {"reward_accuracy": _wins(pairs.difference), "reward_margin": pairs.difference}
            for name, value in values.items():
                found = statistics.setdefault(name, np.zeros(len(rows)))
                found[group] = value.double().cpu().numpy()
        return {name: row_means(found) for name, found in statistics.items()}


def _wins(difference: Tensor) -> Tensor:
    """1 where positive, ½ where 0, float32."""
    return (difference > 0).float() + 0.5 * (difference == 0).float()


def _told(pairs: PreferencePairs, asks_reference: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """The metrics of a step as sums over pairs; log-probabilities in nats an answer."""
    told = {
        "chosen_log_prob": pairs.chosen,
        "rejected_log_prob": pairs.rejected,
        "chosen_tokens": pairs.chosen_tokens,
        "rejected_tokens": pairs.rejected_tokens,
        "accuracy": _wins(pairs.chosen - pairs.rejected),
    }
    if asks_reference:
        told |= {
            "accuracy": _wins(pairs.difference),
            "margin": pairs.difference,
            "chosen_ratio": pairs.chosen_ratio,
            "rejected_ratio": pairs.rejected_ratio,
            "kl": (pairs.chosen_ratio.square() + pairs.rejected_ratio.square()) / 4,
        }
    count = torch.full_like(pairs.margin.sum(), len(pairs.margin))
    return {name: (values.detach().sum(), count) for name, values in told.items()}
