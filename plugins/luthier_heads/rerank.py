"""Train a reranker: a cross-encoder that reads a query with a document and scores how well they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from luthier.api import (
    Adaptation,
    Batch,
    Example,
    Head,
    Loss,
    Model,
    Optimizer,
    Predictor,
    RecipeError,
    Reranker,
    Row,
    SequenceClassification,
    encode_text_pair,
    packed_batches,
    pair_outputs,
    prove_classifier,
    state_activation,
    unwrapped,
)
from luthier_heads.held_out import HeldOutPairs
from luthier_heads.pairs import TextPair, pair_of, score_of
from luthier_heads.ranking import rank_statistics, ranking_statistics, ranks_of
from luthier_heads.reading import HeadMethod
from luthier_heads.rerank_objectives import RerankObjective

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HEAD = Head(("score",), "regression")
CANDIDATES = 1000
"""The most graded pairs of a split among which a pair has its rank."""
LENGTH = 512
"""The tokens of a pair where the recipe says no number, if the model reads so many."""


class Rerank(HeadMethod):
    """Put a head with one output on a model, and train it to score pairs of a query and a document.

    Pairs are encoded as the tokenizer encodes a pair of texts, cut to `length` tokens at the end of the document; null
    is 512, or what the model reads. The new head learns `head_rate` times as fast as the other weights. A query's
    documents are measured by how they are ranked; `k` is that of nDCG@k.
    """

    reads_texts_apart = True

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: RerankObjective,
        length: int | None = None,
        head_rate: float = 10.0,
        k: int = 10,
    ) -> None:
        super().__init__(SequenceClassification(model, head=HEAD), adaptation, optimizer)
        for name, value in {"length": length, "k": k}.items():
            if value is not None and value < 1:
                raise RecipeError(f"method.{name} is {value}.", where=f"method.{name}", hint="Use 1 or more.")
        self.objective, self.length, self.head_rate, self.k = objective, length, head_rate, k
        self.measures = objective.measures
        self._held_out_pairs: dict[str, HeldOutPairs] = {}

    def reranker(self, tokenizer: PreTrainedTokenizerBase) -> Reranker:
        """How pairs are read; RecipeError for more tokens than the model has positions."""
        longest = tokenizer.model_max_length
        if self.length is not None and self.length > longest:
            raise RecipeError(
                f"method.length={self.length} is more than the model's {longest} positions.",
                where="method.length",
                hint=f"Set method.length={longest} or less.",
            )
        length = min(longest, LENGTH) if self.length is None else self.length
        return Reranker(length=length, activation=self.objective.activation)

    def learn(self, examples: Mapping[str, Sequence[Example]]) -> Any:
        self._held_out_pairs = {split: HeldOutPairs(each, CANDIDATES) for split, each in examples.items()}
        return None

    def _know(self, network: nn.Module) -> None:
        config: Any = unwrapped(network).config
        if Head.of(config) != HEAD:
            raise RecipeError(f"{type(unwrapped(network)).__name__} has no head with one score.", where="method")
        state_activation(config, self.reranker(self.model.tokenizer))

    def _prove(self) -> float:
        return prove_classifier(self.network)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        pair = pair_of(example)
        self.objective.check(example, pair)
        return self._row(example, pair, tokenizer)

    def _row(self, example: Example, pair: TextPair, tokenizer: PreTrainedTokenizerBase) -> Row:
        length = self.reranker(tokenizer).length
        documents = [pair.document] if self.objective.graded else [pair.document, *pair.negatives]
        made = [encode_text_pair(pair.query, document, tokenizer, length) for document in documents]
        values = {"second": float(made[0][1]), "score": score_of(example) if self.objective.graded else 0.0}
        closing = min(closing for _, _, closing in made)
        return Row(tuple(sequence for sequence, _, _ in made), values, read_only=True, closing=closing)

    def loss(self, batch: Batch) -> Loss:
        losses, weights = self._losses(pair_outputs(self.network, batch), batch)
        return Loss(losses.sum(), weights.sum())

    def _losses(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss and the weight of each row, from the outputs [sequences] of all its documents."""
        first, others, owners = _parted(outputs, [len(group) for group in batch.sequence_groups])
        return self.objective.losses(first, others, owners, batch.values["score"])

    @torch.no_grad()
    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The loss of each row, and the ranking of its documents or, if graded, its rank among its split."""
        losses, outputs = self._measured(rows)
        if self.objective.graded:
            tokenizer = self.model.tokenizer
            corpus = [self._row(each, pair_of(each), tokenizer) for each in self._split_of(examples).drawn]
            known = {_key(row): output for row, output in zip(rows, outputs, strict=True)}
            missing = {_key(row): row for row in corpus if _key(row) not in known}
            known |= dict(zip(missing, self._measured(list(missing.values()))[1], strict=True))
            values = [np.array([known[_key(row)][0] for row in of]) for of in (rows, corpus)]
            scores = [np.array([row.values["score"] for row in of]) for of in (rows, corpus)]
            return {"loss": losses, "spearman": rank_statistics(values[0], scores[0], values[1], scores[1])}
        statistics = ranking_statistics([ranks_of(one[:1], one[1:]) for one in outputs], self.k)
        return {"loss": losses, **{name: statistics[name] for name in self.measures}}

    def _measured(self, rows: Sequence[Row]) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """(sum, weight) of the loss of each row, and the outputs for its documents."""
        losses = np.zeros((len(rows), 2))
        outputs: list[NDArray[np.float64]] = [np.zeros(0)] * len(rows)
        for group, batch in packed_batches(rows, next(self.network.parameters()).device):
            found = pair_outputs(self.network, batch)
            losses[group] = torch.stack(self._losses(found, batch), 1).double().cpu().numpy()
            parts = torch.split(found.double().cpu(), [len(one) for one in batch.sequence_groups])
            for number, part in zip(group, parts, strict=True):
                outputs[number] = part.numpy()
        return losses, outputs

    def _split_of(self, examples: Sequence[Example]) -> HeldOutPairs:
        split = str(examples[0].get("split", "")) if examples else ""
        return self._held_out_pairs.get(split) or HeldOutPairs(examples, CANDIDATES)

    def finish(self, predictor: Predictor, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, Any]:
        """Say how pairs are read."""
        return {"reranker": self.reranker(predictor.tokenizer).as_json()}


def _key(row: Row) -> bytes:
    return row.sequences[0].ids.tobytes()


def _parted(outputs: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs of the first document of each row, those of the others, and the rows of these."""
    counts = torch.tensor(sizes, dtype=torch.int64)
    starts = counts.cumsum(0) - counts
    own = torch.ones(int(counts.sum()), dtype=torch.bool)
    own[starts] = False
    owners = torch.arange(len(counts)).repeat_interleave(counts - 1)
    return outputs[starts.to(outputs.device)], outputs[own.to(outputs.device)], owners.to(outputs.device)
