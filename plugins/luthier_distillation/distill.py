"""Distillation: a student learns what a teacher finds likely."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Batch,
    Example,
    LanguageModelMethod,
    Loss,
    Measure,
    Model,
    Optimizer,
    RecipeError,
    Row,
    chunked_loss,
    collate,
    last_hidden_state,
    network_inputs,
    ratio,
    shifted_targets,
    unwrapped,
)
from luthier_distillation import student_teacher_inputs as sides
from luthier_distillation.activations import Watch
from luthier_distillation.alignment import Alignment
from luthier_distillation.comparison import Comparison
from luthier_distillation.feature_distillation import Both, Insight, watches
from luthier_distillation.offline_teacher import OfflineTeacher
from luthier_distillation.sampled_sequences import Writing
from luthier_distillation.sequences import Sequences
from luthier_distillation.signals import ForwardKl, Signal
from luthier_distillation.teacher import Live, Told

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Distillation(LanguageModelMethod):
    """Make the student's distribution over the next token like the teacher's, on the trained tokens of the data.

    `signal` says how the two are compared, `sequences` on which texts, `alignment` which tokens with which. Neither's
    logits are ever held for more than a chunk of tokens. With `teachers`, further models by name, the probabilities of
    all are mixed; `teacher_weights` says how often each counts, the first being called `teacher`.

    Held-out `loss` is -log p of the data's own tokens, as that of method=sft, so that both can be compared;
    `teacher_loss` is the teacher's own, where it has the same tokens; `teacher_distance` is the signal's (of an inner
    signal, which compares no tokens, forward KL) and `teacher_agreement` the share of tokens that both find likeliest.
    With `kept`, a folder that `luthier cache-teacher` or `luthier ask-teacher` wrote, no teacher is loaded, and only
    the `loss` is measured.
    """

    trains_likelihood = False

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        signal: Signal,
        sequences: Sequences,
        alignment: Alignment,
        teacher: Any,
        teachers: dict[str, Any] | None = None,
        teacher_weights: dict[str, float] | None = None,
        kept: str | None = None,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.signal, self.sequences, self.alignment = signal, sequences, alignment
        self.teacher, self.teachers, self.teacher_weights, self.kept = teacher, teachers, teacher_weights, kept
        self.live = Live({"teacher": teacher, **(teachers or {})}, teacher_weights or {})
        self.cache = OfflineTeacher(kept) if kept else None
        if self.cache:
            self._refuse_what_is_not_kept()
        self.measures = {} if self.cache else _measures(alignment)
        self.preparation = Writing(self) if sequences.writes else None
        self.compared = np.zeros(2)

    def check(self) -> None:
        """Refuse a teacher that this student cannot follow, before anything is loaded."""
        if self.cache:
            self.cache.check(self.model.tokenizer)
        else:
            self.alignment.check(self.model.tokenizer, self.live.tokenizers, self.signal)

    def load(self) -> None:
        """Refuse a teacher that this student cannot follow, then load the student."""
        self.check()
        super().load()

    def configure_model(self) -> None:
        """Load and adapt; put beside the network what an inner signal learns."""
        super().configure_model()
        if not hasattr(self, "insights"):
            configs = [model.config.get_text_config() for model in (self.model, self.live.models["teacher"])]
            self.insights = nn.ModuleList(Insight(weight, inner, *configs) for weight, inner in self.signal.inner())

    def configure_optimizers(self) -> Any:
        trainable = [
            (name, weight)
            for module in (self.network, self.insights)
            for name, weight in module.named_parameters()
            if weight.requires_grad
        ]
        return self.optimizer(trainable, self.steps, self.rate)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The student's tokens; the teacher's too, where it is shown something else or has a tokenizer of its own."""
        asking = bool(self.sequences.writes)
        own = sides.tokens(example, tokenizer, asking=asking)
        open_ = asking and not own.weights.any()
        if self.cache or not (self.alignment.translates or sides.SHOWN in example):
            return Row((own,), prompt_only=open_)
        theirs = next(iter(self.live.tokenizers.values()))
        return Row((own, sides.tokens(sides.shown(example), theirs, asking=asking)), prompt_only=open_)

    def memory(self, rows: int) -> dict[str, int]:
        """The teachers' weights, as far as their architectures are on this machine."""
        asked = (self.signal.asks_teacher or "teacher" in self.sequences.writes) and not self.cache
        return {"teachers": self.live.bytes} if asked else {}

    def loss(self, batch: Batch) -> Loss:
        return self._compared(batch)[0]

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.cross_entropies([Row(row.sequences[:1]) for row in rows])

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        found = {name: np.zeros((len(rows), 2)) for name in self.measures}
        device = next(self.network.parameters()).device
        for number, row in enumerate(rows if self.measures else ()):
            loss, seen = self._compared(collate([[row]]).to(device), measuring=True)
            told = {"teacher_distance": loss.sum, "teacher_agreement": seen.agreed, "teacher_loss": seen.teacher_loss}
            for name in found:
                found[name][number] = float(told[name]), float(loss.weight)
        return {"loss": self.losses(rows), **found}

    def on_train_end(self) -> None:
        self.facts["Teacher"] = self.cache.said if self.cache else self.live.said
        self.facts |= self.sequences.facts()
        if self.compared[0] < self.compared[1]:
            share = self.compared[0] / self.compared[1]
            self.facts["Tokens compared"] = f"{share:.1%}; of the rest the teacher says nothing"

    def _compared(self, batch: Batch, *, measuring: bool = False) -> tuple[Loss, Comparison]:
        """The signal's loss; beside it -log p of the data's tokens and, with a teacher, how often both agree.

        Measuring looks at what both say, never at what goes on inside.
        """
        signal = ForwardKl() if measuring and not self.signal.speaks else self.signal
        with_teacher = measuring or signal.asks_teacher
        insights: list[Any] = [] if measuring else list(self.insights)
        ours, theirs = sides.apart(batch)
        targets, weights = shifted_targets(ours)
        where = there = weights.nonzero().flatten()
        mine, yours = watches(insights) if insights else (None, None)
        told: Told | None = None
        if with_teacher:
            told, where, there = self._told(ours, theirs, where, yours)
        inputs = network_inputs(ours, unwrapped(self.network).config)
        with mine.during(self.network, inputs) if mine else nullcontext():
            hidden = last_hidden_state(self.network, inputs).flatten(0, 1)
        comparison = Comparison(
            signal, told, targets[where], weights[where],
            agrees=self.alignment.agrees, scored=measuring and not self.alignment.translates,
        )  # fmt: skip
        total = chunked_loss(self.head, hidden[where], weights[where], comparison) + 0 * hidden.sum()
        count = weights[where].sum()
        metrics = {"cross_entropy": (comparison.cross_entropy, count)}
        if with_teacher and self.alignment.agrees:
            metrics["agreement"] = (comparison.agreed, count)
        if mine and yours:
            both = Both(mine, yours, ours, where, there, same=ours is theirs)
            inside = sum(((insight(both) * weights[where]).sum() for insight in insights), start=total.new_zeros(()))
            total, metrics["inside"] = total + inside, (inside.detach(), count)
        return Loss(total, count, metrics), comparison

    def _told(self, ours: Batch, theirs: Batch, where: Tensor, watch: Watch | None) -> tuple[Told, Tensor, Tensor]:
        """What the teacher says, and about which places of the student's and of its own batch."""
        if self.cache:
            told, known = self.cache(ours, where)
            there = known
        else:
            known, there = self.alignment.places(ours, theirs)
            told = self.alignment.told(self.live(theirs, there, watch))
        self.compared += len(known), len(where)
        return told, known, there

    def _refuse_what_is_not_kept(self) -> None:
        missing = {
            "what goes on inside it": self.signal.inner(),
            "what it says of other tokens": self.alignment.translates,
            "what it says of texts that are yet to be written": self.sequences.writes,
        }
        for what, asked in missing.items():
            if asked:
                raise RecipeError(
                    f"A teacher that is kept does not tell {what}.",
                    where="method.kept",
                    hint="Leave out method.kept, so that the teacher itself is asked.",
                )


def _measures(alignment: Alignment) -> dict[str, Measure]:
    """What can be measured against a teacher of this kind."""
    found = {"teacher_distance": Measure(ratio, better="lower")}
    if alignment.agrees:
        found["teacher_agreement"] = Measure(ratio)
    if not alignment.translates:
        found["teacher_loss"] = Measure(ratio, better="lower")
    return found
