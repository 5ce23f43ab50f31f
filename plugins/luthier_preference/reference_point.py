"""The reference point of KTO: an estimate of KL(π_θ ‖ π_ref) from prompts with the answers of other examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from luthier.api import AnswerLoss, Batch, RatedAnswers, Row, TokenSequence, misreturned, token_sequences
from luthier_preference.reference_log_probabilities import EncodedRows
from luthier_preference.wrong_kind import wrong_kind

POINT = "reference_point"
"""The key of a step's reference point in `Batch.values`, the same number for each row."""


def uses_reference_point(objective: AnswerLoss) -> bool:
    """Whether an objective reads the reference point, found by calling it on made-up answers.

    RecipeError where it is not written for them, PluginError where it does not return a finite loss for each, with a
    gradient; what its own code raises is raised.
    """
    used = False

    def estimate() -> torch.Tensor:
        nonlocal used
        used = True
        return torch.tensor(0.5)

    answers = RatedAnswers(torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([True, False]), estimate)
    try:
        with torch.enable_grad():
            losses = objective(answers)
    except (AttributeError, TypeError) as error:
        if (refusal := wrong_kind(objective, answers, "single answers", error)) is None:
            raise
        raise refusal from error
    fits = isinstance(losses, torch.Tensor) and losses.shape == (2,) and bool(losses.isfinite().all())
    if not fits:
        shown = losses.tolist() if isinstance(losses, torch.Tensor) else losses
        raise misreturned(objective, "a tensor of two finite losses, one for each of two answers", shown)
    if not losses.requires_grad:
        raise misreturned(objective, "losses with a gradient", losses, shown="losses without")
    return used


class Mismatched:
    """Prompts with the answer of the next example of their split: which one depends on the data alone.

    So the estimate over the rows of an optimizer step is the same whatever batches and devices they are cut into. A
    sequence ends after `length` tokens. Of a split with one example there is none.
    """

    def __init__(self, rows: EncodedRows, length: int) -> None:
        self.rows, self.length = rows, length
        owners = np.fromiter((rows.example(number) for number in range(rows.row_count)), np.int64, rows.row_count)
        self._examples, self._first = np.unique(owners, return_index=True)

    def of(self, batch: Batch) -> list[Row]:
        """The mismatched sequences of a batch's rows, a row each."""
        sequences = iter(token_sequences(batch))
        of_rows = ([next(sequences) for _ in group] for group in batch.sequence_groups)
        return [row for example, own in zip(batch.examples, of_rows, strict=True) for row in self._rows(example, own)]

    def all(self) -> Iterator[Row]:
        """Those of all rows of the split."""
        for number in range(self.rows.row_count):
            yield from self._rows(self.rows.example(number), self.rows.row(number).sequences)

    def _rows(self, example: int, own: Sequence[TokenSequence]) -> list[Row]:
        if len(self._examples) < 2:
            return []
        following = int(np.searchsorted(self._examples, example) + 1) % len(self._examples)
        return mismatched(own, self.rows.row(int(self._first[following])).sequences, self.length)


def mismatched(own: Sequence[TokenSequence], others: Sequence[TokenSequence], length: int | None = None) -> list[Row]:
    """The prompt of each sequence with the answer of one of the others, cut after `length` tokens."""
    rows = []
    for index, sequence in enumerate(own):
        other = others[index % len(others)]
        start, begin = _answer_start(sequence), _answer_start(other)
        ids = np.concatenate([sequence.ids[:start], other.ids[begin:]])[:length]
        weights = np.concatenate([sequence.weights[:start], other.weights[begin:]])[:length]
        if weights.any():
            rows.append(Row((TokenSequence(ids, weights),)))
    return rows


def mismatched_in(sequences: Sequence[Sequence[TokenSequence]]) -> list[Row]:
    """Those of rows that no split is known of, each with the row after it; none for a single row."""
    if len(sequences) < 2:
        return []
    return [
        row
        for own, after in zip(sequences, [*sequences[1:], sequences[0]], strict=True)
        for row in mismatched(own, after)
    ]


class ReferencePoint:
    """A preparation that leaves the batches of a step as they are, but for the reference point of the whole step.

    `estimate` gives that of mismatched rows, over all devices. It is false for objectives that do not read it.
    """

    visits = 1

    def __init__(
        self, used: bool, rows_of: Callable[[Batch], list[Row]], estimate: Callable[[list[Row]], float]
    ) -> None:
        self._used, self._rows_of, self._estimate = used, rows_of, estimate

    def __bool__(self) -> bool:
        return self._used

    def __call__(self, step: list[Batch], number: int) -> list[Batch]:
        point = self._estimate([row for batch in step for row in self._rows_of(batch)])
        for batch in step:
            batch.values[POINT] = torch.full((len(batch.sequence_groups),), point)
        return step

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to restore: the point of a step follows from its rows and the weights."""


def _answer_start(sequence: TokenSequence) -> int:
    weights: NDArray[np.float32] = sequence.weights
    return int(np.argmax(weights != 0))
