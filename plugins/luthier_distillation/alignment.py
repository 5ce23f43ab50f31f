"""Which token of the teacher's says something about which of the student's? `method/alignment`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from luthier.api import Batch, DataError, RecipeError, TokenSequence, shifted_targets, token_sequences
from luthier_distillation.byte_alignment import Spelled, pairs, runs
from luthier_distillation.signals import Signal
from luthier_distillation.teacher import Told
from luthier_distillation.token_bytes import ends, spelling
from luthier_distillation.vocabulary import refuse_another

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


DIFFERENT = "The answers that student and teacher see are not the same tokens."
DIFFERENT_HINT = (
    "The teacher's prompt may change what comes before an answer, not the answer; where a block cut one of them, raise "
    "batch.length."
)


class Alignment(Protocol):
    """Brings what a teacher says into the student's terms."""

    translates: bool
    """Whether the teacher may have tokens of its own."""
    agrees: bool
    """Whether it can be said that both find the same token likeliest."""

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        """RecipeError where the two cannot be compared by this signal; asked before anything is loaded."""

    def places(self, ours: Batch, theirs: Batch) -> tuple[Tensor, Tensor]:
        """Where in both flattened batches the same next token is predicted, int64 [n] each."""

    def told(self, told: Told) -> Told:
        """What the teacher said, such as the student's log-probabilities can be compared with."""


class OfRun(Protocol):
    """Pairs the tokens of an answer in the one sequence with those of the same answer in the other, by number."""

    def __call__(
        self, own: TokenSequence, mine: range, other: TokenSequence, their: range
    ) -> list[tuple[int, int]]: ...


class SameTokens:
    """The same ids mean the same; the teacher may have read something else before them."""

    translates, agrees = False, True

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        for name, teacher in teachers.items():
            refuse_another(student, teacher, name=name)

    def places(self, ours: Batch, theirs: Batch) -> tuple[Tensor, Tensor]:
        (targets, weights), (their_targets, their_weights) = shifted_targets(ours), shifted_targets(theirs)
        where, there = weights.nonzero().flatten(), their_weights.nonzero().flatten()
        if ours is not theirs and not torch.equal(targets[where], their_targets[there]):
            raise DataError(DIFFERENT, hint=DIFFERENT_HINT)
        return where, there

    def told(self, told: Told) -> Told:
        return told


class InOrder:
    """The first token of an answer with the first one, the second with the second, up to the end of the shorter.

    So Boizard et al. (2024) compare distributions over different vocabularies, which only `signal=universal` can.
    """

    translates, agrees = True, False

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        _only_one(teachers)
        if not signal.any_vocabulary:
            raise RecipeError(
                "Tokens that are only counted cannot be compared one by one.",
                where="method.alignment",
                hint="Use method/signal=universal, perhaps mixed with hard_labels, or method/alignment=byte_spans.",
            )

    def places(self, ours: Batch, theirs: Batch) -> tuple[Tensor, Tensor]:
        def of_run(own: TokenSequence, mine: range, other: TokenSequence, their: range) -> list[tuple[int, int]]:
            return list(zip(mine, their, strict=False))

        return _places(ours, theirs, of_run)

    def told(self, told: Told) -> Told:
        return _Foreign(told)


class ByteSpans:
    """Where a token of both begins at the same byte of an answer; the tokens that both spell alike are compared.

    All other tokens are one more, whose probability is the sum of theirs. A place that lies inside a token of the
    teacher's says nothing and is left out. Ends of answers are the same token.
    """

    translates, agrees = True, True

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        (teacher,) = _only_one(teachers)
        self._spelled = spelling(student), spelling(teacher)
        self._ends = ends(student), ends(teacher)
        known = {spelled: number for number, spelled in enumerate(self._spelled[1]) if spelled}
        shared = {known[each]: number for number, each in enumerate(self._spelled[0]) if each in known}
        shared |= dict(zip(self._ends[1], self._ends[0], strict=False))
        if len(self._ends[0]) != len(self._ends[1]):  # one of them ends turns and texts with the same token
            shared[self._ends[1][-1]] = self._ends[0][-1]
        unique = {own: other for other, own in shared.items()}
        self._shared = torch.tensor([list(unique), list(unique.values())])

    def places(self, ours: Batch, theirs: Batch) -> tuple[Tensor, Tensor]:
        def of_run(own: TokenSequence, mine: range, other: TokenSequence, their: range) -> list[tuple[int, int]]:
            found = pairs(self._said(0, own, mine), self._said(1, other, their))
            return [(mine[first], their[second]) for first, second in found]

        return _places(ours, theirs, of_run)

    def told(self, told: Told) -> Told:
        return _Shared(told, self._shared)

    def _said(self, side: int, tokens: TokenSequence, run: range) -> Spelled:
        spelled, stops = self._spelled[side], self._ends[side]
        return [(spelled[number], number in stops) for number in tokens.ids[run.start : run.stop].tolist()]


class _Foreign:
    """A distribution over other tokens, as it is."""

    width = 2**40  # no row of the student's head is cut off for it

    def __init__(self, told: Told) -> None:
        self.inner = told

    def __call__(self, rows: slice, temperature: float, width: int) -> Tensor:
        return self.inner(rows, temperature, self.inner.width)

    def project(self, log_probs: Tensor) -> Tensor:
        return log_probs


class _Shared(_Foreign):
    """Over the tokens that both have, and one that stands for all others; `shared` int64 [2, s], ids of both."""

    def __init__(self, told: Told, shared: Tensor) -> None:
        super().__init__(told)
        self.shared = shared

    def __call__(self, rows: slice, temperature: float, width: int) -> Tensor:
        return _bucketed(super().__call__(rows, temperature, width), self.shared[1])

    def project(self, log_probs: Tensor) -> Tensor:
        return _bucketed(log_probs, self.shared[0])


def _bucketed(log_probs: Tensor, ids: Tensor) -> Tensor:
    """[n, s + 1] of [n, V]: the tokens of `ids`, and the logarithm of what all others have together."""
    chosen = ids.to(log_probs.device)
    others = log_probs.index_fill(1, chosen, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.cat([log_probs[:, chosen], others.clamp(min=-80.0)], dim=1)


def _places(ours: Batch, theirs: Batch, of_run: OfRun) -> tuple[Tensor, Tensor]:
    """Pairs of places of all answers; those of a row whose answers are not as many are left out."""
    found: list[tuple[int, int]] = []
    for own, other, begin, their_begin in zip(
        token_sequences(ours), token_sequences(theirs), _begins(ours), _begins(theirs), strict=True
    ):
        both = runs(own.weights), runs(other.weights)
        if len(both[0]) == len(both[1]):
            for mine, their in zip(*both, strict=True):
                found += [(begin + a - 1, their_begin + b - 1) for a, b in of_run(own, mine, other, their)]
    laid = torch.from_numpy(np.array(found, dtype=np.int64).reshape(-1, 2)).to(ours.input_ids.device)
    return laid[:, 0], laid[:, 1]


def _begins(batch: Batch) -> list[int]:
    return [batch.boundaries[number] for number in batch.sequence_numbers]


def _only_one(teachers: dict[str, PreTrainedTokenizerBase]) -> list[PreTrainedTokenizerBase]:
    if len(teachers) > 1:
        raise RecipeError(
            "Several teachers whose vocabularies differ from the student's cannot be mixed.",
            where="method.teachers",
            hint="Distil one after the other, or take teachers with the student's tokenizer.",
        )
    return list(teachers.values())
