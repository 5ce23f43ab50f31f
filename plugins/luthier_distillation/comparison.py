"""The signal on a chunk of tokens at a time, and what is worth knowing beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from luthier_distillation.signals import Seen, Signal
from luthier_distillation.teacher import Told


class Comparison:
    """What `chunked_loss` calls: the losses of a chunk, and weighted sums over all chunks.

    `cross_entropy` and `teacher_loss` are -log p of the data's tokens, the student's and the teacher's, `agreed` the
    weight of the tokens that both find likeliest; `agrees` and `scored` say whether the last two are wanted.
    """

    def __init__(
        self, signal: Signal, told: Told | None, targets: Tensor, weights: Tensor, *, agrees: bool, scored: bool
    ) -> None:
        self.signal, self.told, self.targets, self.weights = signal, told, targets, weights
        self.agrees, self.scored = agrees and told is not None, scored and told is not None
        self.cross_entropy, self.agreed, self.teacher_loss = (weights.new_zeros(()) for _ in range(3))

    def __call__(self, logits: Tensor, rows: slice) -> Tensor:
        weights, targets, told = self.weights[rows], self.targets[rows], self.told
        if told is None:
            seen = Seen(logits, _nobody, targets)
        else:
            logits = logits[:, : told.width]
            seen = Seen(logits, lambda temperature: told(rows, temperature, logits.shape[-1]), targets, told.project)
        losses = self.signal(seen)
        with torch.no_grad():
            self.cross_entropy -= (_of(logits, targets) * weights).sum()
            if self.agrees:
                self.agreed += (seen.agreed() * weights).sum()
            if self.scored:
                self.teacher_loss -= (_of(seen.both(1.0)[0], targets) * weights).sum()
        return losses


def _of(logits: Tensor, targets: Tensor) -> Tensor:
    """log p of one token of each row, [n]."""
    return logits.gather(1, targets.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)


def _nobody(temperature: float) -> Tensor:
    raise AssertionError("a signal that asks no teacher looked at one")
