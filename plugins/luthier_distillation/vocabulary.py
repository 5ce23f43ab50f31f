"""The vocabularies of student and teacher: whether they are the same, and distributions over what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from luthier.api import RecipeError
from luthier_distillation.teacher import TeacherDistributions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOG_ZERO = -80.0
"""The least logarithm of the probability of all tokens that are not shared."""


def check_same_vocabulary(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, *, name: str) -> None:
    """RecipeError unless each token has the same id for student and teacher; `name` is the teacher's setting."""
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours == theirs:
        return
    shared = sum(theirs.get(token) == token_id for token, token_id in ours.items())
    raise RecipeError(
        f"Student and teacher have different vocabularies: {len(ours):,} and {len(theirs):,} tokens, of which "
        f"{shared:,} have the same number in both.",
        where=f"method.{name}",
        hint="Take a student of the teacher's family, such as model=pruned with model@model.base=<the teacher>, "
        "or another teacher: model@method.teacher=…",
    )


class OtherVocabulary:
    """A teacher's distributions over its own vocabulary, whatever the student's is."""

    vocab_size = 2**40  # no row of the student's LM head is cut off for it

    def __init__(self, distributions: TeacherDistributions) -> None:
        self.distributions = distributions

    def __call__(self, rows: slice, temperature: float, vocab_size: int) -> Tensor:
        return self.distributions(rows, temperature, self.distributions.vocab_size)

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


class SharedVocabulary(OtherVocabulary):
    """Distributions over the tokens that both have, and one bucket for all others.

    `shared` int64 [2, s] holds the ids of the shared tokens, the student's and the teacher's.
    """

    def __init__(self, distributions: TeacherDistributions, shared: Tensor) -> None:
        super().__init__(distributions)
        self.shared = shared

    def __call__(self, rows: slice, temperature: float, vocab_size: int) -> Tensor:
        return _bucketed(super().__call__(rows, temperature, vocab_size), self.shared[1])

    def project(self, log_probs: Tensor) -> Tensor:
        return _bucketed(log_probs, self.shared[0])


def _bucketed(log_probs: Tensor, ids: Tensor) -> Tensor:
    """[n, s + 1] of [n, V]: the log-probabilities of the tokens `ids` [s], and that of all others together."""
    shared = ids.to(log_probs.device)
    others = log_probs.index_fill(1, shared, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.cat([log_probs[:, shared], others.clamp(min=LOG_ZERO)], dim=1)
