"""Train a classifier: an encoder or a language model with a classification head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import (
    Adaptation,
    Batch,
    Calibration,
    DataError,
    Example,
    Head,
    Loss,
    Model,
    Optimizer,
    Predictor,
    RecipeError,
    Row,
    SequenceClassification,
    class_outputs,
    encode_for_classification,
    packed_batches,
    prove_classifier,
    unwrapped,
)
from luthier_heads.objectives import ClassObjective
from luthier_heads.reading import HeadMethod
from luthier_heads.sections import sections_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Classify(HeadMethod):
    """Put a classification head on an encoder, or in place of a language model's LM head, and train it on labels.

    The head is that of transformers' AutoModelForSequenceClassification for the architecture. `labels` are its outputs
    in order; null takes those of the training split, sorted. The head is initialised at random beside pretrained
    weights, so its learning rate is `head_rate` times that of the others (Howard & Ruder, 2018, section 3.2). On the
    validation split the run calibrates what `luthier.load(run).classify(texts, error=…)` promises.
    """

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: ClassObjective,
        labels: list[str] | None = None,
        head_rate: float = 10.0,
    ) -> None:
        super().__init__(SequenceClassification(model, head=self._head), adaptation, optimizer)
        if labels is not None and (len(set(labels)) < len(labels) or not labels):
            raise RecipeError("Each label is named once.", where="method.labels")
        self.objective, self.order, self.head_rate = objective, labels, head_rate
        self.labels: list[str] = list(labels or ())
        self.measures = objective.measures

    def _head(self) -> Head:
        """What the outputs are; before the data is read, and no labels are given, two outputs stand for them."""
        return Head(tuple(self.labels or ("0", "1")), self.objective.problem)

    def learn(self, examples: Mapping[str, Sequence[Example]]) -> list[str]:
        """Take the labels of the training split, in order; DataError for one that is held out alone."""
        found: Counter[str] = Counter()
        for example in examples.get("train", ()):
            found.update(_placed(self.objective.labels_of, example))
        if not (found or self.labels):  # nothing to train on: those that are measured
            for split in examples.values():
                for example in split:
                    found.update(_placed(self.objective.labels_of, example))
        self.labels = self.objective.names(found, self.order) if self.order or not self.labels else self.labels
        for split in examples.values():
            for example in split:
                self._refuse_unknown(example)
        if len(self.labels) == 1 and self.objective.problem == "single_label_classification":
            raise DataError(
                f"All training examples have the label {self.labels[0]!r}, so there is nothing to tell apart.",
                where="data",
                hint="Name all labels in method.labels, or give examples of the others.",
            )
        self.objective.settle(self.labels, found)
        if not found and getattr(self.objective, "class_weights", None) == "balanced":
            self.warnings.append("The loss is not balanced: the training data that its weights come from is not here.")
        if absent := [label for label in self.labels if not found[label]] if found else []:
            self.warnings.append(f"No training example has the label {', '.join(absent)}.")
        return self.labels

    def _refuse_unknown(self, example: Example) -> None:
        for label in _placed(self.objective.labels_of, example):
            if label not in self.labels:
                raise DataError(
                    f"{label!r} is a label of the data, but not one of the classifier's: {', '.join(self.labels)}.",
                    where=str(example.get("where", "")),
                    hint="Name it in method.labels, or give the training split examples of it.",
                )

    def load(self) -> None:
        assert self.labels, "the data is read before a network is loaded"
        super().load()

    def _know(self, network: nn.Module) -> None:
        config: Any = unwrapped(network).config
        head = Head.of(config)
        if head is None or head.problem != self.objective.problem:
            raise RecipeError(
                f"{type(unwrapped(network)).__name__} has no head for {self.objective.problem}.", where="method"
            )
        self.labels = list(head.labels)

    def _when_adapted(self) -> None:
        super()._when_adapted()
        self._say_layout()

    def _prove(self) -> float:
        return prove_classifier(self.network)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        self._refuse_unknown(example)
        target = self.objective.target(example, self.labels)
        sequence, closing = encode_for_classification(example, tokenizer)
        return Row((sequence,), target, read_only=True, closing=closing)

    def loss(self, batch: Batch) -> Loss:
        losses, weights = self.objective.losses(class_outputs(self.network, batch), batch.values, self.labels)
        return Loss(losses.sum(), weights.sum())

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self.measured(rows)["loss"]

    @torch.no_grad()
    def measured(self, rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The loss and the statistics of the objective's measures for each row."""
        statistics: dict[str, NDArray[np.float64]] = {}
        for group, batch in packed_batches(rows, next(self.network.parameters()).device):
            outputs = class_outputs(self.network, batch)
            loss = torch.stack(self.objective.losses(outputs, batch.values, self.labels), 1)
            for name, values in {"loss": loss, **self.objective.statistics(outputs, batch.values)}.items():
                whole = statistics.setdefault(name, np.zeros((len(rows), values.shape[1])))
                whole[group] = values.double().cpu().numpy()
        return statistics

    def finish(self, predictor: Predictor, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, Any]:
        """Calibrate on the validation split, and show what is confused on the test split."""
        held_out, test = list(examples.get("validation", ())), list(examples.get("test", ()))
        calibration = None
        if held_out and self.objective.problem != "multi_label_classification":
            outputs = predictor.class_outputs(held_out)
            calibration = Calibration.of(outputs, self._targets(held_out), self.objective.problem)
        if test:
            outputs = predictor.class_outputs(test)
            self.sections += sections_of(test, outputs, self._targets(test), self._head(), calibration)
        return {} if calibration is None else {"calibration": calibration.as_json()}

    def _targets(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """The true label's number, or value, of each example; of several labels all, [examples, labels]."""
        found = np.array([list(self.objective.target(example, self.labels).values()) for example in examples])
        return found if self.objective.problem == "multi_label_classification" else found[:, 0]


def _placed(read: Any, example: Example) -> Sequence[str]:
    """What is read of an example, with its place in errors."""
    try:
        found: Sequence[str] = read(example)
    except DataError as error:
        error.where = error.where or str(example.get("where", ""))
        raise
    return found
