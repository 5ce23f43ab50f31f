"""What the methods of this plugin share: log-probabilities of answers, now and under the reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    find_lm_head,
    format_size,
    packed_batches,
    token_sequences,
    with_supported_prefixes,
)
from luthier_preference.displacement import Displacement
from luthier_preference.reference_log_probabilities import Reference

KEPT = "reference"


class AnswerMethod(LanguageModelMethod):
    """A method that compares how likely answers are with how likely they were when the run began.

    Where the adaptation can be switched off the reference is the same network without it; else it is computed once,
    before training, and kept by content. There is never a second network beside the one that is trained.
    """

    likelihood = False
    asks_reference = True

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer) -> None:
        super().__init__(model, adaptation, optimizer)
        self.reference = Reference(model, self._scored)
        self.displacement = Displacement()

    def load(self) -> None:
        """Load the network as it comes; one that brings an adapter of its own is no reference without it."""
        super().load()
        self._brings_adapter = hasattr(self.network, "peft_config")

    @property
    def switches(self) -> bool:
        """Whether the reference is the network with its adaptation switched off."""
        return can_disable_adaptation(self.adaptation) and not getattr(self, "_brings_adapter", False)

    def setup(self, stage: str) -> None:
        """Compute the reference of all that is trained and validated on, with the network while it is as it came."""
        if stage != "fit" or not self.asks_reference:
            return
        if self.switches:
            self.facts["Reference"] = "the network with its adaptation switched off"
            return
        if not hasattr(self, "network"):
            self.load()
        fresh = None if self.adapted else self.network.to(self.trainer.strategy.root_device)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        with self.trainer.precision_plugin.forward_context():
            for blocks in (data.blocks("train"), data.blocks("validation")):
                if blocks is not None:
                    self.reference.learn((blocks.row(number) for number in range(blocks.row_count)), fresh)
        kept = f"log-probabilities of {len(self.reference):,} answers, computed once"
        self.facts["Reference"] = f"{kept}: {format_size(self.reference.size)}"

    def memory(self, rows: int) -> dict[str, int]:
        """Bytes for two answers a row, at 12 each."""
        return {} if self.switches or not self.asks_reference else {"reference": 24 * rows}

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Put what is kept of the reference beside the batch while it is on the host."""
        return self._with_reference(batch)

    def before(self, batch: Batch) -> Tensor:
        """log p_ref of each sequence, float32 [len(batch.sequence_numbers)], without gradients."""
        if KEPT in batch.values:
            return batch.values[KEPT]
        with adaptation_disabled(self.network, self.adaptation) if self.adapted else torch.no_grad():
            return self.sequence_log_probs(batch)

    def in_batches(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], Batch]]:
        """Rows in packed batches for a forward pass without gradients, with their numbers and what is kept of them."""
        for group, batch in self._packed(rows):
            yield group, self._with_reference(batch)

    def _packed(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], Batch]]:
        for group, batch in packed_batches(rows, next(self.network.parameters()).device):
            yield group, self.computable(batch)

    def computable(self, batch: Batch) -> Batch:
        """The batch as the network can compute it; that a prompt is computed twice is said."""
        return with_supported_prefixes(batch, self.network, self.warnings)

    def learn_reference(self, rows: Sequence[Row]) -> None:
        """Have the reference of rows that are about to be measured."""
        if self.asks_reference and not self.switches:
            self.reference.learn(rows, None if self.adapted else self.network)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.displacement.see(self.step_metrics)

    def on_train_end(self) -> None:
        self.warnings += self.displacement.warnings()

    def _with_reference(self, batch: Batch) -> Batch:
        if self.asks_reference and not self.switches:
            batch.values[KEPT] = self.reference.of(token_sequences(batch)).to(batch.input_ids.device)
        return batch

    @torch.no_grad()
    def _scored(self, network: nn.Module, rows: list[Row]) -> NDArray[np.float32]:
        """The log-probability of each sequence of the rows under the network as it came."""
        mine = getattr(self, "network", None), getattr(self, "head", None)
        training = network.training
        self.network, self.head = network.eval(), find_lm_head(network)
        try:
            found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(rows)
            for group, batch in self._packed(rows):
                values = self.sequence_log_probs(batch).float().cpu().numpy()
                counts = np.cumsum([len(rows[number].sequences) for number in group])[:-1]
                for number, own in zip(group, np.split(values, counts), strict=True):
                    found[number] = own
        finally:
            network.train(training)
            if mine[0] is not None:
                self.network, self.head = mine  # type: ignore[assignment]
        return np.concatenate(found)
