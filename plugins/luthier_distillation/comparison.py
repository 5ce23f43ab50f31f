"""The signal and the metrics of a batch, computed on a chunk of tokens at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from luthier.api import Signal, TokenDistributions
from luthier_distillation.teacher import TeacherDistributions
from luthier_distillation.token_losses import token_losses


class Comparison:
    """The function that `chunked_loss` calls: it gives the losses of a chunk and adds up metrics over all chunks.

    `cross_entropy` and `teacher_loss` are weighted sums of -log p of the data's tokens, the student's and the
    teacher's; `agreement` is the weight of the tokens to which both give the highest probability. The last two stay 0
    unless `measures_agreement` and `measures_teacher_loss` say so and there is a teacher.
    """

    def __init__(
        self,
        signal: Signal,
        teacher: TeacherDistributions | None,
        targets: Tensor,
        weights: Tensor,
        *,
        measures_agreement: bool,
        measures_teacher_loss: bool,
    ) -> None:
        self.signal, self.teacher, self.targets, self.weights = signal, teacher, targets, weights
        self.measures_agreement = measures_agreement and teacher is not None
        self.measures_teacher_loss = measures_teacher_loss and teacher is not None
        self.cross_entropy, self.agreement, self.teacher_loss = (weights.new_zeros(()) for _ in range(3))

    def __call__(self, logits: Tensor, rows: slice) -> Tensor:
        weights, targets, teacher = self.weights[rows], self.targets[rows], self.teacher
        if teacher is None:
            distributions = TokenDistributions(logits, _no_teacher, targets)
        else:
            logits = logits[:, : teacher.vocab_size]
            distributions = TokenDistributions(
                logits, lambda temperature: teacher(rows, temperature, logits.shape[-1]), targets, teacher.project
            )
        losses = token_losses(self.signal, distributions)
        with torch.no_grad():
            self.cross_entropy -= (_target_log_probs(logits, targets) * weights).sum()
            if self.measures_agreement:
                self.agreement += (distributions.agreement() * weights).sum()
            if self.measures_teacher_loss:
                teacher_log_probs, _ = distributions.shared_log_probs(1.0)
                self.teacher_loss -= (_target_log_probs(teacher_log_probs, targets) * weights).sum()
        return losses


def _target_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """log p of the target of each row, [n]."""
    return logits.gather(1, targets.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)


def _no_teacher(temperature: float) -> Tensor:
    raise AssertionError("a signal that needs no teacher read a teacher's distribution")
