"""Direct preference optimization: train on pairs of a chosen and a rejected answer."""

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
from luthier_preference.preference_method import PreferenceMethod, halved_ties
from luthier_preference.reference_use import uses_reference

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class DirectPreference(PreferenceMethod):
    """Make the chosen answer of each pair more likely relative to the rejected one (Rafailov et al., 2023).

    The loss is the mean of the objective over pairs. The prompt of a pair is computed once for both answers. The column
    `margin` is how much better the chosen answer is, for objectives with a margin; 0 without it.
    """

    measures: Mapping[str, Measure] = {
        "preference_accuracy": Measure(ratio),
        "chosen_log_prob": Measure(ratio),
        "rejected_log_prob": Measure(ratio, better="lower"),
    }

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, objective: PairLoss) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective
        self.needs_reference = uses_reference(objective)
        if self.needs_reference:
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
        pairs = self.pairs(batch)
        losses = self.objective(pairs)
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), _metrics(pairs, self.needs_reference))

    def pairs(self, batch: Batch) -> PreferencePairs:
        """The log-probabilities of a batch's answers, with gradients."""
        log_probs = self.sequence_log_probs(batch).view(-1, 2)
        weights = shifted_targets(batch)[1].view(batch.input_ids.shape)
        tokens = sequence_sums(weights, batch).view(-1, 2)

        def reference() -> tuple[Tensor, Tensor]:
            log_probs = self.reference_log_probs(batch).view(-1, 2)
            return log_probs[:, 0], log_probs[:, 1]

        margin = batch.values["margin"]
        return PreferencePairs(log_probs[:, 0], log_probs[:, 1], tokens[:, 0], tokens[:, 1], margin, reference)

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each pair.

        `preference_accuracy`: whether the chosen answer has the higher log-probability, summed over tokens.
        `reward_accuracy` and `reward_margin`: whether it has the higher log-ratio to the reference, and the difference
        in nats. Equal values count ½, as before training.
        """
        self.compute_reference(rows)
        statistics: dict[str, NDArray[np.float64]] = {}
        for indices, batch in self.batches_with_reference(rows):
            pairs = self.pairs(batch)
            values = {
                "loss": self.objective(pairs),
                "preference_accuracy": halved_ties(pairs.chosen - pairs.rejected),
                "chosen_log_prob": pairs.chosen,
                "rejected_log_prob": pairs.rejected,
            }
            if self.needs_reference:
                difference = pairs.log_ratio_difference
                values |= {"reward_accuracy": halved_ties(difference), "reward_margin": difference}
            for name, value in values.items():
                statistics.setdefault(name, np.zeros(len(rows)))[indices] = value.double().cpu().numpy()
        return {name: row_means(values) for name, values in statistics.items()}


def _metrics(pairs: PreferencePairs, with_reference: bool) -> dict[str, tuple[Tensor, Tensor]]:
    """The metrics of a step as (sum, count) over pairs; log-probabilities in nats per answer, `kl` by k2."""
    values = {
        "chosen_log_prob": pairs.chosen,
        "rejected_log_prob": pairs.rejected,
        "chosen_tokens": pairs.chosen_tokens,
        "rejected_tokens": pairs.rejected_tokens,
        "accuracy": halved_ties(pairs.chosen - pairs.rejected),
    }
    if with_reference:
        values |= {
            "accuracy": halved_ties(pairs.log_ratio_difference),
            "margin": pairs.log_ratio_difference,
            "chosen_ratio": pairs.chosen_log_ratio,
            "rejected_ratio": pairs.rejected_log_ratio,
            "kl": (pairs.chosen_log_ratio.square() + pairs.rejected_log_ratio.square()) / 4,
        }
    count = torch.full_like(pairs.margin.sum(), len(pairs.margin))
    return {name: (value.detach().sum(), count) for name, value in values.items()}
