"""Distillation: a student is trained to match a teacher's distribution over the next token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Batch,
    Data,
    Example,
    LanguageModelMethod,
    Loss,
    Measure,
    Model,
    Optimizer,
    RecipeError,
    Row,
    Signal,
    chunked_loss,
    collate,
    ratio,
    shifted_targets,
)
from luthier_distillation import student_teacher_inputs
from luthier_distillation.activations import ActivationRecorder, recorded_hidden_states
from luthier_distillation.alignment import Alignment
from luthier_distillation.comparison import Comparison
from luthier_distillation.layer_distance import FeatureLoss, RecordedActivations, recorders
from luthier_distillation.offline_teacher import OfflineTeacher
from luthier_distillation.sampled_sequences import SampledSequences
from luthier_distillation.sequences import SequenceSource
from luthier_distillation.signals import ForwardKl
from luthier_distillation.step_context import StepContext
from luthier_distillation.teacher import TeacherDistributions, TeacherNetworks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Distillation(LanguageModelMethod):
    """Match the teacher's distribution over the next token, on the trained tokens of the data.

    `signal` is the loss between the two, `sequences` says on which sequences it is computed, `alignment` which tokens
    are compared. The logits of neither are held for more than a chunk of tokens. With `teachers`, further models by
    name, the teacher is the mixture of all their distributions by `teacher_weights`, in which the first is called
    `teacher`.

    Held-out `loss` is -log p of the data's own tokens, as that of method=sft, so that both can be compared;
    `teacher_loss` is the teacher's, where the two have the same vocabulary; `teacher_distance` is the signal's loss
    (forward KL for feature distillation, which compares no distributions) and `teacher_agreement` the share of tokens
    to which both give the highest probability. With `offline_teacher`, a folder that `luthier cache-teacher` or
    `luthier ask-teacher` wrote, no teacher is loaded, and only the `loss` is measured.
    """

    trains_likelihood = False

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        signal: Signal,
        sequences: SequenceSource,
        alignment: Alignment,
        teacher: Any,
        teachers: dict[str, Any] | None = None,
        teacher_weights: dict[str, float] | None = None,
        offline_teacher: str | None = None,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        self.signal, self.sequences, self.alignment, self.teacher = signal, sequences, alignment, teacher
        self.teacher_networks = TeacherNetworks({"teacher": teacher, **(teachers or {})}, teacher_weights or {})
        self.offline = OfflineTeacher(offline_teacher) if offline_teacher else None
        if self.offline:
            self._refuse_what_needs_the_network()
        self.measures = {} if self.offline else _measures(alignment)
        self.preparation = (
            SampledSequences(sequences, self.encode, self._step_context, reencodes=alignment.allows_other_vocabulary)
            if sequences.generated_by
            else None
        )
        self.feature_losses = nn.ModuleList()
        self.compared_tokens = self.trained_tokens = 0

    def check(self) -> None:
        """RecipeError for a teacher that this student cannot be compared with, before anything is loaded."""
        if self.offline:
            self.offline.check(self.model.tokenizer)
        else:
            self.alignment.check(self.model.tokenizer, self.teacher_networks.tokenizers, self.signal)

    def describe(self, network: nn.Module) -> dict[str, str]:
        student, teacher = self._text_configs()
        for _, distance in self.signal.layer_distances():
            distance.layer_pairs(int(student.num_hidden_layers), int(teacher.num_hidden_layers))
        return super().describe(network)

    def load(self) -> None:
        """Check the teacher, then load the student."""
        self.check()
        super().load()

    def configure_model(self) -> None:
        """Load and adapt; create the learned projections of feature distillation."""
        super().configure_model()
        distances = self.signal.layer_distances()
        if len(self.feature_losses) < len(distances):
            student, teacher = self._text_configs()
            self.feature_losses.extend(
                FeatureLoss(weight, distance, student, teacher) for weight, distance in distances
            )

    def trainable_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the network, and the learned projections of feature distillation."""
        yield from super().trainable_weights()
        yield from self.feature_losses.named_parameters()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Accept the names that learned projections have in checkpoints of version 0.1."""
        state = checkpoint["state_dict"]
        for name in [name for name in state if name.startswith("insights.")]:
            state[name.replace("insights.", "feature_losses.").replace(".between.", ".projections.")] = state.pop(name)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        """The student's tokens, and the teacher's where its prompt or its vocabulary differs."""
        generates = bool(self.sequences.generated_by)
        student = student_teacher_inputs.encode(example, tokenizer, allows_unanswered=generates)
        prompt_only = generates and not student.weights.any()
        differs = self.alignment.allows_other_vocabulary or student_teacher_inputs.TEACHER_MESSAGES in example
        if self.offline or not differs:
            return Row((student,), prompt_only=prompt_only)
        teacher_tokenizer = next(iter(self.teacher_networks.tokenizers.values()))
        teacher = student_teacher_inputs.encode(
            student_teacher_inputs.teacher_example(example), teacher_tokenizer, allows_unanswered=generates
        )
        return Row((student, teacher), prompt_only=prompt_only)

    def memory(self, rows: int) -> dict[str, int]:
        """The teachers' weights, as far as their architectures are on this machine."""
        used = (self.signal.needs_teacher or "teacher" in self.sequences.generated_by) and not self.offline
        return {"teachers": self.teacher_networks.weight_bytes} if used else {}

    def loss(self, batch: Batch) -> Loss:
        return self._compared(batch)[0]

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.cross_entropies([Row(row.sequences[:1]) for row in rows])

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        statistics = {name: np.zeros((len(rows), 2)) for name in self.measures}
        device = next(self.network.parameters()).device
        for number, row in enumerate(rows if self.measures else ()):
            loss, comparison = self._compared(collate([[row]]).to(device), measures=True)
            sums = {
                "teacher_distance": loss.sum,
                "teacher_agreement": comparison.agreement,
                "teacher_loss": comparison.teacher_loss,
            }
            for name in statistics:
                statistics[name][number] = float(sums[name]), float(loss.weight)
        return {"loss": self.losses(rows), **statistics}

    def on_train_end(self) -> None:
        self.facts["Teacher"] = self.offline.description if self.offline else self.teacher_networks.description
        self.facts |= self.sequences.facts()
        if self.compared_tokens < self.trained_tokens:
            share = self.compared_tokens / self.trained_tokens
            self.facts["Tokens compared"] = f"{share:.1%}; the teacher has no distribution for the others"

    def _step_context(self) -> StepContext:
        data: Data = self.trainer.datamodule  # type: ignore[attr-defined]
        device = next(self.network.parameters()).device
        return StepContext(self.network, self.model.tokenizer, lambda: self.teacher_networks.generator(device), data)

    def _compared(self, batch: Batch, *, measures: bool = False) -> tuple[Loss, Comparison]:
        """The signal's loss of a batch, and the metrics of the comparison with the teacher.

        With `measures`, the teacher is needed whatever the signal is, and layer distances are left out.
        """
        signal = ForwardKl() if measures and not self.signal.compares_distributions else self.signal
        needs_teacher = measures or signal.needs_teacher
        feature_losses: list[Any] = [] if measures else list(self.feature_losses)
        student, teacher = student_teacher_inputs.split_batch(batch)
        targets, weights = shifted_targets(student)
        positions = teacher_positions = weights.nonzero().flatten()
        recorder, teacher_recorder = recorders(feature_losses) if feature_losses else (None, None)
        distributions: TeacherDistributions | None = None
        if needs_teacher:
            distributions, positions, teacher_positions = self._teacher_distributions(
                student, teacher, positions, teacher_recorder
            )
        hidden = recorded_hidden_states(self.network, student, recorder).flatten(0, 1)
        comparison = Comparison(
            signal, distributions, targets[positions], weights[positions],
            measures_agreement=self.alignment.measures_agreement,
            measures_teacher_loss=measures and not self.alignment.allows_other_vocabulary,
        )  # fmt: skip
        total = chunked_loss(self.head, hidden[positions], weights[positions], comparison) + 0 * hidden.sum()
        count = weights[positions].sum()
        metrics = {"cross_entropy": (comparison.cross_entropy, count)}
        if needs_teacher and self.alignment.measures_agreement:
            metrics["agreement"] = (comparison.agreement, count)
        if recorder and teacher_recorder:
            activations = RecordedActivations(
                recorder, teacher_recorder, student, positions, teacher_positions, same_tokens=student is teacher
            )
            of_features = sum(
                ((loss(activations) * weights[positions]).sum() for loss in feature_losses), start=total.new_zeros(())
            )
            total, metrics["feature_loss"] = total + of_features, (of_features.detach(), count)
        return Loss(total, count, metrics), comparison

    def _teacher_distributions(
        self, student: Batch, teacher: Batch, trained: Tensor, recorder: ActivationRecorder | None
    ) -> tuple[TeacherDistributions, Tensor, Tensor]:
        """The teacher's distributions, and their positions in the student's and in the teacher's flattened batch."""
        if self.offline:
            distributions, positions = self.offline(student, trained)
            teacher_positions = positions
        else:
            positions, teacher_positions = self.alignment.positions(student, teacher)
            distributions = self.alignment.comparable(self.teacher_networks(teacher, teacher_positions, recorder))
        self.compared_tokens += len(positions)
        self.trained_tokens += len(trained)
        return distributions, positions, teacher_positions

    def _text_configs(self) -> tuple[Any, Any]:
        """The configurations of the student's and of the first teacher's text tower."""
        models = self.model, self.teacher_networks.models["teacher"]
        student, teacher = (model.config.get_text_config() for model in models)
        return student, teacher

    def _refuse_what_needs_the_network(self) -> None:
        needed: Mapping[str, object] = {
            "hidden states or attention maps": self.signal.layer_distances(),
            "distributions over another vocabulary": self.alignment.allows_other_vocabulary,
            "distributions for sequences that are generated in training": self.sequences.generated_by,
        }
        for what, is_needed in needed.items():
            if is_needed:
                raise RecipeError(
                    f"An offline teacher has no {what}.",
                    where="method.offline_teacher",
                    hint="Leave out method.offline_teacher, so that the teacher itself is loaded.",
                )


def _measures(alignment: Alignment) -> dict[str, Measure]:
    """What can be measured against a teacher under this alignment."""
    measures = {"teacher_distance": Measure(ratio, better="lower")}
    if alignment.measures_agreement:
        measures["teacher_agreement"] = Measure(ratio)
    if not alignment.allows_other_vocabulary:
        measures["teacher_loss"] = Measure(ratio, better="lower")
    return measures
