"""Distillation: a student learns what a teacher finds likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.chunked import chunked_loss
from luthier.data import encode
from luthier.data.collate import collate
from luthier.evaluate.bootstrap import ratio
from luthier.language_model import LanguageModelMethod, shifted
from luthier.parts import Adaptation, Batch, Example, Loss, Measure, Model, Optimizer, Row
from luthier_distillation.kept import Kept
from luthier_distillation.signals import Seen, Signal
from luthier_distillation.teacher import Live, Teacher, Told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Distillation(LanguageModelMethod):
    """Make the student's distribution over the next token like the teacher's, on the trained tokens of the data.

    `signal` says how the two are compared. Neither's logits are ever held for more than a chunk of tokens. With
    `teachers`, further models by name, the probabilities of all are mixed; `teacher_weights` says how often each
    counts, the first being called `teacher`.

    Held-out `loss` is -log p of the data's own tokens, as that of method=sft, so that both can be compared;
    `teacher_distance` is the signal's, and `teacher_agreement` the share of tokens that both find likeliest. With
    `kept`, a folder that `luthier cache-teacher` wrote, no teacher is loaded, and only the `loss` is measured.
    """

    trains_likelihood = False
    measures = {  # noqa: RUF012
        "teacher_agreement": Measure(ratio),
        "teacher_distance": Measure(ratio, better="lower"),
    }

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        signal: Signal,
        teacher: Any,
        teachers: dict[str, Any] | None = None,
        teacher_weights: dict[str, float] | None = None,
        kept: str | None = None,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.signal = signal
        self.teacher_models: dict[str, Model] = {"teacher": teacher, **(teachers or {})}
        self.teacher: Teacher = Kept(kept) if kept else Live(self.teacher_models, teacher_weights or {})
        if kept:
            self.measures = {}  # held-out examples may be any, also such as the teacher was not asked about

    def load(self) -> None:
        """Refuse a teacher that this student cannot follow, then load the student."""
        self.teacher.check(self.model.tokenizer)
        super().load()

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """Plain text as a whole, of a conversation the assistant's turns."""
        plain = "text" in example and "messages" not in example
        return Row((encode.text(example, tokenizer) if plain else encode.conversation(example, tokenizer),))

    def memory(self, rows: int) -> dict[str, int]:
        """The teachers' weights, as far as their architectures are on this machine."""
        return {"teachers": self.teacher.bytes} if self.signal.asks_teacher else {}

    def loss(self, batch: Batch) -> Loss:
        return self._compared(batch, with_teacher=self.signal.asks_teacher)

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.cross_entropies(rows)

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        if not self.measures:
            return {"loss": self.losses(rows)}
        found = {name: np.zeros((len(rows), 2)) for name in ("loss", *self.measures)}
        device = next(self.network.parameters()).device
        for number, row in enumerate(rows):
            compared = self._compared(collate([[row]]).to(device), with_teacher=True)
            told = {
                "loss": compared.metrics["cross_entropy"],
                "teacher_agreement": compared.metrics["agreement"],
                "teacher_distance": (compared.sum, compared.weight),
            }
            for name, (total, weight) in told.items():
                found[name][number] = float(total), float(weight)
        return found

    def on_train_end(self) -> None:
        self.facts["Teacher"] = self.teacher.said

    def _compared(self, batch: Batch, *, with_teacher: bool) -> Loss:
        """The signal's loss; beside it -log p of the data's tokens and, with a teacher, how often both agree."""
        targets, weights = shifted(batch)
        where = weights.nonzero().flatten()
        told = self.teacher(batch, where) if with_teacher else None
        hidden = self.hidden_states(batch).flatten(0, 1)
        comparison = _Comparison(self.signal, told, targets[where], weights[where])
        total = chunked_loss(self.head, hidden[where], weights[where], comparison) + 0 * hidden.sum()
        count = weights.sum()
        metrics = {"cross_entropy": (comparison.cross_entropy, count)}
        if with_teacher:
            metrics["agreement"] = (comparison.agreed, count)
        return Loss(total, count, metrics)


class _Comparison:
    """The signal on a chunk of tokens, and weighted sums over all chunks of what is worth knowing beside it."""

    def __init__(self, signal: Signal, told: Told | None, targets: Tensor, weights: Tensor) -> None:
        self.signal, self.told, self.targets, self.weights = signal, told, targets, weights
        self.cross_entropy, self.agreed = weights.new_zeros(()), weights.new_zeros(())

    def __call__(self, logits: Tensor, rows: slice) -> Tensor:
        weights, targets = self.weights[rows], self.targets[rows]
        if self.told is not None:
            logits = logits[:, : self.told.width]

        def told(temperature: float) -> Tensor:
            assert self.told is not None, "a signal that asks no teacher looked at one"
            return self.told(rows, temperature, logits.shape[-1])

        seen = Seen(logits, told, targets)
        losses = self.signal(seen)
        with torch.no_grad():
            likely = logits.gather(1, targets.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)
            self.cross_entropy -= (likely * weights).sum()
            if self.told is not None:
                same = seen.any_teacher().argmax(-1) == logits.argmax(-1)
                self.agreed += (same * weights).sum()
        return losses
