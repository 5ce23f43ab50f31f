"""Alignment of the tokens of student and teacher: which positions are compared, over which vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from luthier.api import Batch, DataError, RecipeError, Signal, TokenSequence, shifted_targets, token_sequences
from luthier_distillation.byte_alignment import AnswerBytes, aligned_tokens, trained_spans
from luthier_distillation.teacher import TeacherDistributions
from luthier_distillation.token_bytes import end_tokens, token_bytes
from luthier_distillation.vocabulary import OtherVocabulary, SharedVocabulary, check_same_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


DIFFERENT = "The answers that student and teacher read are not the same tokens."
DIFFERENT_HINT = (
    "The teacher's prompt may change what comes before an answer, not the answer; where truncation cut one of them, "
    "raise batch.length."
)


class Alignment(Protocol):
    """Makes the teacher's distributions comparable with the student's."""

    allows_other_vocabulary: bool
    """Whether the teacher may have a tokenizer of its own."""
    measures_agreement: bool
    """Whether it is defined that both give the same token the highest probability."""

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        """RecipeError where the two cannot be compared by this signal; called before anything is loaded."""

    def positions(self, student: Batch, teacher: Batch) -> tuple[Tensor, Tensor]:
        """The positions in both flattened batches that predict the same next token, int64 [n] each."""

    def comparable(self, distributions: TeacherDistributions) -> TeacherDistributions:
        """The teacher's distributions over a vocabulary to which the student's can be projected."""


SpanAlignment = Callable[[TokenSequence, range, TokenSequence, range], list[tuple[int, int]]]
"""`align(student, span, teacher, teacher_span)`: pairs of token numbers of the same answer in the two sequences."""


class SameTokens:
    """Student and teacher have the same vocabulary; the teacher may be given another prompt."""

    allows_other_vocabulary, measures_agreement = False, True

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        for name, teacher in teachers.items():
            check_same_vocabulary(student, teacher, name=name)

    def positions(self, student: Batch, teacher: Batch) -> tuple[Tensor, Tensor]:
        (targets, weights), (teacher_targets, teacher_weights) = shifted_targets(student), shifted_targets(teacher)
        positions, teacher_positions = weights.nonzero().flatten(), teacher_weights.nonzero().flatten()
        if student is not teacher and not torch.equal(targets[positions], teacher_targets[teacher_positions]):
            raise DataError(DIFFERENT, hint=DIFFERENT_HINT)
        return positions, teacher_positions

    def comparable(self, distributions: TeacherDistributions) -> TeacherDistributions:
        return distributions


class InOrder:
    """The i-th token of the student's answer is paired with the i-th of the teacher's, up to the end of the shorter.

    So Boizard et al. (2024) compare distributions over different vocabularies, which only `signal=universal` can.
    """

    allows_other_vocabulary, measures_agreement = True, False

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        _the_only(teachers)
        if not signal.any_vocabulary:
            raise RecipeError(
                "Tokens that are paired by their order alone cannot be compared one by one.",
                where="method.alignment",
                hint="Use method/signal=universal, perhaps mixed with hard_labels, or method/alignment=byte_spans.",
            )

    def positions(self, student: Batch, teacher: Batch) -> tuple[Tensor, Tensor]:
        def in_order(
            sequence: TokenSequence, span: range, teacher_sequence: TokenSequence, teacher_span: range
        ) -> list[tuple[int, int]]:
            return list(zip(span, teacher_span, strict=False))

        return _aligned_positions(student, teacher, in_order)

    def comparable(self, distributions: TeacherDistributions) -> TeacherDistributions:
        return OtherVocabulary(distributions)


class ByteSpans:
    """Tokens are paired where they begin at the same byte of an answer, over the tokens that both vocabularies have.

    All other tokens are one bucket, whose probability is the sum of theirs. A position inside a token of the
    teacher's has no distribution to compare with and is left out. Tokens that end an answer are the same token.
    """

    allows_other_vocabulary, measures_agreement = True, True

    def check(
        self, student: PreTrainedTokenizerBase, teachers: dict[str, PreTrainedTokenizerBase], signal: Signal
    ) -> None:
        teacher = _the_only(teachers)
        self._token_bytes = token_bytes(student), token_bytes(teacher)
        self._ends = end_tokens(student), end_tokens(teacher)
        teacher_ids = {token: token_id for token_id, token in enumerate(self._token_bytes[1]) if token}
        shared = {
            teacher_ids[token]: token_id for token_id, token in enumerate(self._token_bytes[0]) if token in teacher_ids
        }
        shared |= dict(zip(self._ends[1], self._ends[0], strict=False))
        if len(self._ends[0]) != len(self._ends[1]):  # one of them ends turns and texts with the same token
            shared[self._ends[1][-1]] = self._ends[0][-1]
        unique = {student_id: teacher_id for teacher_id, student_id in shared.items()}
        self._shared = torch.tensor([list(unique), list(unique.values())])

    def positions(self, student: Batch, teacher: Batch) -> tuple[Tensor, Tensor]:
        def by_bytes(
            sequence: TokenSequence, span: range, teacher_sequence: TokenSequence, teacher_span: range
        ) -> list[tuple[int, int]]:
            answers = self._answer_bytes(0, sequence, span), self._answer_bytes(1, teacher_sequence, teacher_span)
            return [(span[first], teacher_span[second]) for first, second in aligned_tokens(*answers)]

        return _aligned_positions(student, teacher, by_bytes)

    def comparable(self, distributions: TeacherDistributions) -> TeacherDistributions:
        return SharedVocabulary(distributions, self._shared)

    def _answer_bytes(self, side: int, sequence: TokenSequence, span: range) -> AnswerBytes:
        """`side` is 0 for the student's tokenizer and 1 for the teacher's."""
        bytes_of, ends = self._token_bytes[side], self._ends[side]
        return [(bytes_of[token], token in ends) for token in sequence.ids[span.start : span.stop].tolist()]


def _aligned_positions(student: Batch, teacher: Batch, align: SpanAlignment) -> tuple[Tensor, Tensor]:
    """The positions that predict paired tokens; rows in which the numbers of answers differ are left out."""
    pairs: list[tuple[int, int]] = []
    for sequence, teacher_sequence, start, teacher_start in zip(
        token_sequences(student), token_sequences(teacher), _starts(student), _starts(teacher), strict=True
    ):
        spans, teacher_spans = trained_spans(sequence.weights), trained_spans(teacher_sequence.weights)
        if len(spans) == len(teacher_spans):
            for span, teacher_span in zip(spans, teacher_spans, strict=True):
                tokens = align(sequence, span, teacher_sequence, teacher_span)
                pairs += [(start + own - 1, teacher_start + other - 1) for own, other in tokens]
    positions = torch.from_numpy(np.array(pairs, dtype=np.int64).reshape(-1, 2)).to(student.input_ids.device)
    return positions[:, 0], positions[:, 1]


def _starts(batch: Batch) -> list[int]:
    return [batch.boundaries[number] for number in batch.sequence_numbers]


def _the_only(teachers: dict[str, PreTrainedTokenizerBase]) -> PreTrainedTokenizerBase:
    if len(teachers) > 1:
        raise RecipeError(
            "Several teachers whose vocabularies differ from the student's cannot be mixed.",
            where="method.teachers",
            hint="Distil one after the other, or take teachers with the student's tokenizer.",
        )
    return next(iter(teachers.values()))
