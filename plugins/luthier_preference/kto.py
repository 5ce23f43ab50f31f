"""Preference optimization on single answers with a binary label (KTO and APO without pairs)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luthier.api import (
    Adaptation,
    AnswerLoss,
    Batch,
    Data,
    DataError,
    Example,
    Loss,
    Measure,
    Model,
    Optimizer,
    RatedAnswers,
    Row,
    encode_continuation,
    evaluation_mode,
    ratio,
    row_means,
    row_with_shared_prefix,
    token_sequences,
)
from luthier_preference.preference_method import PreferenceMethod, halved_ties
from luthier_preference.reference_log_probabilities import EncodedRows
from luthier_preference.reference_point import POINT, Mismatched, ReferencePoint, mismatched_in, uses_reference_point

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LIKED = {True: 1.0, "true": 1.0, "yes": 1.0, False: 0.0, "false": 0.0, "no": 0.0}  # 1 is True, 0 is False
VOTES = ("liked", "kto_tag", "label")


def _no_vote(example: Example) -> DataError:
    """The error of an answer without a vote, which names the columns where one is looked for."""
    found = {name: example[name] for name in VOTES if name in example}
    said = (
        " and ".join(f"`{name}` is {value!r}" for name, value in found.items())
        or "it has no column `liked`, `kto_tag` or `label`"
    )
    by_number = "liked" not in found and found.get("label") in (0, 1, "0", "1")
    return DataError(
        f"The answer is neither liked nor disliked: {said}.",
        where=str(example.get("where", "")),
        hint="Where 1 means liked: 'data.rename={label: liked}'."
        if by_number
        else "Give each answer a column `liked` of true or false, or leave the row out.",
    )


class UnpairedPreference(PreferenceMethod):
    """Make liked answers more likely and disliked ones less, without pairs (Ethayarajh et al., 2024).

    An example is an answer with a column `liked` (true or false), or a pair, of which the chosen answer is liked and
    the rejected one is not. The loss is the mean of the objective over answers.

    The reference point, KL(π_θ ‖ π_ref), is estimated over all answers of an optimizer step, whatever micro-batches and
    devices they are cut into, from prompts with the answer of the next example of the data, at the cost of a forward
    pass under each policy. Held-out answers have one of their own, estimated over all of them.
    """

    measures: Mapping[str, Measure] = {"reward_accuracy": Measure(ratio)}

    def __init__(self, model: Model, adaptation: Adaptation, optimizer: Optimizer, *, objective: AnswerLoss) -> None:
        super().__init__(model, adaptation, optimizer)
        self.objective = objective
        self.uses_reference_point = uses_reference_point(objective)
        self.preparation = ReferencePoint(self.uses_reference_point, self._mismatched_rows, self._estimate)
        self._mismatched: dict[str, Mismatched] = {}
        self._held_out_point: float | None = None

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        if "chosen" in example and "rejected" in example:
            pair = [encode_continuation(example, answer, tokenizer) for answer in ("chosen", "rejected")]
            return row_with_shared_prefix(pair, {"liked": 1.0})
        label = example.get("liked")
        if (liked := LIKED.get(label.lower() if isinstance(label, str) else label)) is None:
            raise _no_vote(example)
        messages = example["messages"]
        answer = {**example, "messages": messages[:-1], "answer": messages[-1:]}
        return Row((encode_continuation(answer, "answer", tokenizer),), {"liked": liked})

    def loss(self, batch: Batch) -> Loss:
        answers = self.answers(batch)
        losses = self.objective(answers)
        return Loss(losses.sum(), torch.full_like(losses.sum(), len(losses)), _metrics(answers))

    def answers(self, batch: Batch) -> RatedAnswers:
        """The log-ratios of a batch's answers, with gradients."""
        log_ratio = self.sequence_log_probs(batch) - self.reference_log_probs(batch)
        first = batch.values["liked"] > 0
        liked = [
            first[number] ^ (place > 0) for number, row in enumerate(batch.sequence_groups) for place in range(len(row))
        ]
        labels = torch.stack(liked) if liked else first
        return RatedAnswers(log_ratio, labels, lambda: self._reference_point(batch))

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The statistics of each row, summed over its answers.

        `reward_accuracy`: whether the log-ratio of a liked answer is positive, and that of another negative; 0 counts
        ½, as before training.
        """
        self.compute_reference(rows)
        if self.uses_reference_point:
            others = mismatched_in([row.sequences for row in rows])
            self.compute_reference(others)
            self._held_out_point = _mean(self._log_ratios(others))
        statistics = {name: np.zeros((len(rows), 2)) for name in ("loss", "reward_accuracy")}
        for indices, batch in self.batches_with_reference(rows):
            answers = self.answers(batch)
            owner = np.repeat(indices, [len(row) for row in batch.sequence_groups])
            for name, values in (("loss", self.objective(answers)), ("reward_accuracy", _correct(answers))):
                np.add.at(statistics[name], owner, row_means(values.double().cpu().numpy()))
        self._held_out_point = None
        return statistics

    def rows_with_reference(self, split: EncodedRows) -> Iterator[Row]:
        """The rows of a split, and where the reference point is read the mismatched ones."""
        yield from super().rows_with_reference(split)
        if self.uses_reference_point:
            data: Data = self.trainer.datamodule  # type: ignore[attr-defined]
            yield from Mismatched(split, data.length).all()

    def memory(self, rows: int) -> dict[str, int]:
        """Twice the bytes where mismatched answers are cached, too."""
        return {name: size * (1 + self.uses_reference_point) for name, size in super().memory(rows).items()}

    @torch.no_grad()
    def on_validation_epoch_start(self) -> None:
        """Estimate the reference point of the validation split, each device from its share of the rows."""
        if self.uses_reference_point and self._of_split("validation") is not None:
            others = list(self._of_split("validation").all())  # type: ignore[union-attr]
            self._held_out_point = self._estimate(others[self.trainer.global_rank :: self.trainer.world_size])

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self._held_out_point = None

    def _mismatched_rows(self, batch: Batch) -> list[Row]:
        split = self._of_split("train")
        assert split is not None, "a batch of the training split has a training split"
        return split.of(batch)

    def _of_split(self, name: str) -> Mismatched | None:
        data: Data = self.trainer.datamodule  # type: ignore[attr-defined]
        if name not in self._mismatched and (blocks := data.blocks(name)) is not None:
            self._mismatched[name] = Mismatched(blocks, data.length)
        return self._mismatched.get(name)

    @torch.no_grad()
    def _estimate(self, rows: list[Row]) -> float:
        """The mean log-ratio of mismatched rows, over all devices, without dropout; 0 where there is none."""
        with evaluation_mode(self.network), self.trainer.precision_plugin.forward_context():
            log_ratios = self._log_ratios(rows)
        total = torch.tensor([log_ratios.sum(), len(log_ratios)], dtype=torch.float64)
        if self.trainer.world_size > 1:
            summed = self.trainer.strategy.reduce(total.float().to(self.device), reduce_op="sum")
            assert isinstance(summed, Tensor)
            total = summed.cpu()
        return float(total[0] / total[1].clamp_min(1))

    def _log_ratios(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """log π_θ - log π_ref of rows of a sequence each, float64 [rows], in packed forward passes."""
        found = np.zeros(len(rows))
        if self.adapted or self.caches_reference:
            for indices, batch in self.batches_with_reference(rows):
                log_ratios = self.sequence_log_probs(batch) - self.reference_log_probs(batch)
                found[indices] = log_ratios.double().cpu().numpy()
        return found

    @torch.no_grad()
    def _reference_point(self, batch: Batch) -> Tensor:
        """That of the optimizer step or of the held-out answers; of the batch alone where it belongs to neither."""
        zero = batch.weights.new_zeros(())
        if POINT in batch.values:
            return batch.values[POINT].mean() if len(batch.values[POINT]) else zero
        if self._held_out_point is not None:
            return zero + self._held_out_point
        sequences = iter(token_sequences(batch))
        rows = mismatched_in([[next(sequences) for _ in group] for group in batch.sequence_groups])
        self.compute_reference(rows)
        return zero + _mean(self._log_ratios(rows))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _correct(answers: RatedAnswers) -> Tensor:
    positive = halved_ties(answers.log_ratio)
    return torch.where(answers.liked, positive, 1 - positive)


def _metrics(answers: RatedAnswers) -> dict[str, tuple[Tensor, Tensor]]:
    """The metrics of a step as (sum, count) over answers; log-ratios in nats per answer, `kl` by k2."""
    log_ratio, liked = answers.log_ratio.detach(), answers.liked.float()
    count = torch.full_like(log_ratio.sum(), len(log_ratio))
    return {
        "accuracy": (_correct(answers).detach().sum(), count),
        "chosen_ratio": ((log_ratio * liked).sum(), liked.sum()),
        "rejected_ratio": ((log_ratio * (1 - liked)).sum(), (1 - liked).sum()),
        "kl": (log_ratio.square().sum() / 2, count),
    }
