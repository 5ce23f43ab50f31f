"""Train a tagger: an encoder or a language model that finds the entities of a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from luthier.api import (
    Adaptation,
    Batch,
    DataError,
    Example,
    Head,
    Loss,
    Measure,
    Model,
    Optimizer,
    Predictor,
    RecipeError,
    Row,
    Scheme,
    SequenceClassification,
    Span,
    encode_words,
    labels_of_tags,
    prove_tagger,
    rules_of,
    spans_of,
    tag_set,
    tags_of,
    token_outputs,
    token_scores,
    unwrapped,
    word_spans,
)
from luthier_heads.reading import HeadMethod
from luthier_heads.span_scores import EXACT, PARTIAL, macro_f1, micro_f1, span_counts
from luthier_heads.tag_sections import sections_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Tag(HeadMethod):
    """Put a token-classification head on an encoder or a language model, and train it to tag the words of entities.

    The head is that of transformers' AutoModelForTokenClassification for the architecture; the loss is the
    cross-entropy of the tag of each word at its first token. `labels` are the kinds of entities in order; null takes
    those of the training split, sorted. `scheme` is how tags stand for spans: BIO, or BILOU with tags for last and
    single words (Ratinov & Roth, 2009). Answers are the most probable possible sequence of tags. The new head's
    learning rate is `head_rate` times that of the other weights.
    """

    measures: Mapping[str, Measure] = {
        "span_f1": Measure(partial(micro_f1, column=EXACT)),
        "partial_f1": Measure(partial(micro_f1, column=PARTIAL)),
        "macro_f1": Measure(macro_f1),
    }

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        labels: list[str] | None = None,
        scheme: Scheme = "BIO",
        head_rate: float = 10.0,
    ) -> None:
        super().__init__(SequenceClassification(model, head=self._head), adaptation, optimizer)
        if labels is not None and (len(set(labels)) < len(labels) or not labels):
            raise RecipeError("Each label is named once.", where="method.labels")
        self.order, self.scheme, self.head_rate = labels, scheme, head_rate
        self.labels: list[str] = list(labels or ())

    @property
    def tags(self) -> list[str]:
        """All tags, in the order of the head's outputs."""
        return tag_set(self.labels, self.scheme)

    def _head(self) -> Head:
        """Before the data is read, and no labels are given, one label stands for them."""
        return Head(tuple(tag_set(self.labels or ("0",), self.scheme)), "token_classification")

    def learn(self, examples: Mapping[str, Sequence[Example]]) -> Any:
        """Take the labels of the training split, sorted; DataError for one that is held out alone."""
        found: Counter[str] = Counter()
        splits = [examples.get("train", ())] if examples.get("train") else list(examples.values())
        for split in splits:
            for example in split:
                found.update(span.label for span in _spans(example))
        self.labels = list(self.order or self.labels or sorted(found))
        for split in examples.values():
            for example in split:
                self._refuse_unknown(example)
        if not self.labels:
            raise DataError(
                "No training example has an entity, so there is nothing to find.",
                where="data",
                hint="Name all kinds of entities in method.labels, or give examples of them.",
            )
        if found and (absent := [label for label in self.labels if not found[label]]):
            self.warnings.append(f"No training example has an entity {', '.join(absent)}.")
        return [self.labels, self.scheme]

    def _refuse_unknown(self, example: Example) -> list[Span]:
        spans = _spans(example)
        for span in spans:
            if span.label not in self.labels:
                raise DataError(
                    f"{span.label!r} is an entity of the data, but not one of the tagger's: {', '.join(self.labels)}.",
                    where=str(example.get("where", "")),
                    hint="Name it in method.labels, or give the training split examples of it.",
                )
        return spans

    def load(self) -> None:
        assert self.labels, "the data is read before a network is loaded"
        super().load()

    def _know(self, network: nn.Module) -> None:
        head = Head.of(unwrapped(network).config)
        if head is None or head.problem != "token_classification":
            raise RecipeError(f"{type(unwrapped(network)).__name__} has no head that tags tokens.", where="method")
        self.labels = labels_of_tags(head.labels)

    def _when_adapted(self) -> None:
        super()._when_adapted()
        self._say_layout()

    def _prove(self) -> float:
        return prove_tagger(self.network)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        spans, encoded = self._refuse_unknown(example), encode_words(example, tokenizer)
        tags = self.tags
        return encoded.labelled([tags.index(tag) for tag in tags_of(spans, len(encoded.words), self.scheme)])

    def loss(self, batch: Batch) -> Loss:
        tagged = batch.labels >= 0
        outputs = token_outputs(self.network, batch)
        losses = cross_entropy(outputs[tagged], batch.labels[tagged], reduction="sum")
        return Loss(losses + 0 * outputs.sum(), tagged.sum())

    def losses(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        return self._losses(rows, self._scores(rows))

    def _losses(self, rows: Sequence[Row], scores: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
        found = np.zeros((len(rows), 2))
        for number, (row, own) in enumerate(zip(rows, scores, strict=True)):
            labels = row.sequences[0].labels
            assert labels is not None
            places = np.flatnonzero(labels >= 0)
            found[number] = -float(own[places, labels[places]].sum()), len(places)
        return found

    def _scores(self, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
        return token_scores(self.network, rows, self.model.tokenizer.model_max_length)

    @torch.no_grad()
    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The loss of each row, and the counts of right, predicted and true spans by label."""
        scores = self._scores(rows)
        counts = []
        for example, own in zip(examples, scores, strict=True):
            true, encoded = _spans(example), encode_words(example, self.model.tokenizer)
            found, _ = spans_of(rules_of(tuple(self.tags)).best(np.asarray(encoded.scores(own), np.float64)))
            counts.append(span_counts(true, found, self.labels).ravel())
        return {"loss": self._losses(rows, scores), **dict.fromkeys(self.measures, np.stack(counts))}

    def finish(self, predictor: Predictor, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, Any]:
        """Show what is found of each kind of entity in the test split, and where it is most wrong."""
        if test := list(examples.get("test", ())):
            self.sections += sections_of(
                test, predictor.word_scores(test), [_spans(one) for one in test], self.labels, tuple(self.tags)
            )
        return {}


def _spans(example: Example) -> list[Span]:
    """The entities of an example as spans of words, with its place in errors."""
    try:
        return word_spans(example)
    except DataError as error:
        error.where = error.where or str(example.get("where", ""))
        raise
