"""The contract of distillation signals (`method/signal`), and what they compare.

In formulas p is the teacher's distribution over the vocabulary and q the student's, both at the temperature T:
softmax(logits / T). Losses are in nats, for each token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class TokenDistributions:
    """What a signal compares for n tokens; each distribution is computed once, when it is first needed.

    `logits` are the student's, [n, V]; `teacher` (T) -> log-probabilities, the teacher's at a temperature, over the
    vocabulary to which `project` maps the student's; `targets` int64 [n] are the tokens of the data.
    """

    def __init__(
        self,
        logits: Tensor,
        teacher: Callable[[float], Tensor],
        targets: Tensor,
        project: Callable[[Tensor], Tensor] = lambda log_probs: log_probs,
    ) -> None:
        self.logits, self.teacher, self.targets, self.project = logits, teacher, targets, project
        self._student: dict[float, Tensor] = {}
        self._teacher: dict[float, Tensor] = {}

    def student_log_probs(self, temperature: float = 1.0) -> Tensor:
        """log q over the student's vocabulary, [n, V]."""
        if temperature not in self._student:
            self._student[temperature] = torch.log_softmax(self.logits / temperature, dim=-1)
        return self._student[temperature]

    def shared_log_probs(self, temperature: float) -> tuple[Tensor, Tensor]:
        """log p and log q over the vocabulary that the two share, without gradients for p."""
        if temperature not in self._teacher:
            with torch.no_grad():
                self._teacher[temperature] = self.teacher(temperature)
        return self._teacher[temperature], self.project(self.student_log_probs(temperature))

    def agreement(self) -> Tensor:
        """Whether the likeliest token of both is the same, bool [n]; at a temperature computed before, else at 1."""
        p, q = self.shared_log_probs(next(iter(self._teacher), 1.0))
        return p.argmax(-1) == q.argmax(-1)


class Signal:
    """What the student is trained on: a loss of each token from the two distributions, [n], and layer distances.

    - *Given*: `TokenDistributions` of n tokens: the student's logits [n, V] with gradient, the teacher's
      log-probabilities at a temperature, and int64 targets.
    - *Returns*: the loss of each token, float32 [n], which depends on no other token; `layer_distances` what is
      added of hidden states.
    - *Called*: for each chunk of the tokens of each micro-batch, so that the whole vocabulary of all tokens is
      never in memory.
    - *Ranks*: on every rank with its own micro-batches; it calls no collective operation.
    - *Raises*: RecipeError of the constructor for settings that cannot be.
    - *Resume*: nothing: keep no state.
    - *Nested*: a keyword-only parameter: `/method/signal@signals.NAME: forward_kl`, as `signal=weighted` has.
    """

    needs_teacher = True
    """Whether it compares with a teacher; without, none is loaded."""
    any_vocabulary = False
    """Whether it can compare distributions over different vocabularies."""

    def __call__(self, distributions: TokenDistributions) -> Tensor:
        """The loss of each token, float32 [n]; 0 for a signal that compares layers alone."""
        return 0 * distributions.logits[:, 0]

    def layer_distances(self) -> list[tuple[float, Any]]:
        """The layer distances that it adds to the loss, with their weights (feature distillation)."""
        return []

    @property
    def compares_distributions(self) -> bool:
        """Whether its loss depends on the distributions of the two over the next token."""
        return type(self).__call__ is not Signal.__call__
