"""Log-probabilities of answers under the policy and the reference policy, shared by all preference methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Batch,
    LanguageModelMethod,
    Model,
    Optimizer,
    Row,
    adaptation_disabled,
    can_disable_adaptation,
    evaluation_mode,
    find_lm_head,
    format_size,
    packed_batches,
    sequence_log_probs,
    token_sequences,
)
from luthier_preference.displacement import LikelihoodDisplacement
from luthier_preference.reference_log_probabilities import EncodedRows, ReferenceLogProbabilities

REFERENCE = "reference"
"""The key of the cached reference log-probabilities in `Batch.values`, float32 [len(batch.sequence_numbers)]."""


class PreferenceMethod(LanguageModelMethod):
    """A method that compares the likelihood of answers under the policy with that under the reference policy.

    The reference policy is the network before this run: itself with its adaptation disabled where that is possible,
    else log-probabilities that are computed once before training and cached. There is never a second network in memory
    during training.
    """

    likelihood = False
    needs_reference = True
    """Whether the objective uses log-probabilities under the reference policy."""

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer) -> None:
        super().__init__(model, adaptation, optimizer)
        self.reference = ReferenceLogProbabilities(model, self._sequence_log_probs)
        self.displacement = LikelihoodDisplacement()
        self._has_own_adapter = False

    @abstractmethod
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each row, (sum, weight) in float64 [rows, 2]: `loss` and those of `measures`."""

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    def load(self) -> None:
        """Load the network; with an adapter of its own it is not its own reference once adaptations are disabled."""
        super().load()
        self._has_own_adapter = hasattr(self.network, "peft_config")

    @property
    def caches_reference(self) -> bool:
        """Whether the reference policy is read from the cache, as the adaptation cannot be disabled."""
        return self._has_own_adapter or not can_disable_adaptation(self.adaptation)

    def setup(self, stage: str) -> None:
        """Compute the reference of the training and validation splits while the network is not adapted."""
        if stage != "fit" or not self.needs_reference:
            return
        if not self.caches_reference:
            self.facts["Reference"] = "the network with its adaptation switched off"
            return
        if not self.is_loaded:
            self.load()
        unadapted = None if self.adapted else self.network.to(self.trainer.strategy.root_device)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        with self.trainer.precision_plugin.forward_context():
            for blocks in (data.blocks("train"), data.blocks("validation")):
                if blocks is not None:
                    self.reference.compute(self.rows_with_reference(blocks), unadapted)
        answers = f"log-probabilities of {len(self.reference):,} answers, computed once"
        self.facts["Reference"] = f"{answers}: {format_size(self.reference.size)}"

    def rows_with_reference(self, split: EncodedRows) -> Iterator[Row]:
        """The rows of a split whose reference log-probabilities are needed, without further values."""
        return (replace(split.row(number), values={}) for number in range(split.row_count))

    def memory(self, rows: int) -> dict[str, int]:
        """Bytes of the cached reference, for two answers per row at 12 bytes each."""
        return {"reference": 24 * rows} if self.caches_reference and self.needs_reference else {}

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Add the cached reference log-probabilities while the batch is on the host."""
        return self._with_reference(batch)

    def reference_log_probs(self, batch: Batch) -> Tensor:
        """log π_ref of each sequence, float32 [len(batch.sequence_numbers)], without gradients."""
        if REFERENCE in batch.values:
            return batch.values[REFERENCE]
        with adaptation_disabled(self.network, self.adaptation) if self.adapted else torch.no_grad():
            return self.sequence_log_probs(batch)

    def batches_with_reference(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], Batch]]:
        """The rows in packed batches with their cached reference, each with the indices of its rows."""
        for indices, batch in packed_batches(rows, next(self.network.parameters()).device):
            yield indices, self._with_reference(batch)

    def compute_reference(self, rows: Sequence[Row]) -> None:
        """Compute the reference of rows that are about to be measured, where it is cached."""
        if self.needs_reference and self.caches_reference:
            self.reference.compute(rows, None if self.adapted else self.network)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.displacement.add(self.step_metrics)

    def on_train_end(self) -> None:
        self.warnings += self.displacement.warnings()

    def _with_reference(self, batch: Batch) -> Batch:
        if self.needs_reference and self.caches_reference:
            batch.values[REFERENCE] = self.reference.lookup(token_sequences(batch)).to(batch.input_ids.device)
        return batch

    def _sequence_log_probs(self, network: nn.Module, rows: list[Row]) -> NDArray[np.float32]:
        """The log-probability of each sequence of the rows under an unadapted network, float32 [sequences]."""
        head = find_lm_head(network)
        by_row: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
        with evaluation_mode(network):
            for indices, batch in packed_batches(rows, next(network.parameters()).device):
                log_probs = sequence_log_probs(network, head, batch).float().cpu().numpy()
                bounds = np.cumsum([len(rows[index].sequences) for index in indices])[:-1]
                for index, own in zip(indices, np.split(log_probs, bounds), strict=True):
                    by_row[index] = own
        return np.concatenate(by_row)


def halved_ties(differences: Tensor) -> Tensor:
    """1 where positive, ½ where 0, else 0; float32."""
    return (differences > 0).float() + 0.5 * (differences == 0).float()
