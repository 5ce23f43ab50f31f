"""Train an embedder: texts that belong together get embeddings that are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from luthier.api import (
    Adaptation,
    Batch,
    Example,
    Loss,
    Model,
    Optimizer,
    Predictor,
    RecipeError,
    Row,
    TextEmbedding,
    TokenSequence,
    as_compared,
    embedding_of,
    encode_for_embedding,
    evaluation_mode,
    is_reward_model,
    pooled_of,
    prove_embedder,
    text_embeddings,
    unwrapped,
)
from luthier_heads.cached_gradients import CachedBatch, CachedGradients, cached_loss, gathered, pairs_of
from luthier_heads.embed_sections import MOST, most_wrong, worth_of_dimensions
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.held_out import Compared, HeldOutPairs
from luthier_heads.pair_objectives import PairObjective
from luthier_heads.pairs import TextPair, pair_of, score_of
from luthier_heads.ranking import rank_statistics, ranking_statistics
from luthier_heads.reading import ReadingMethod

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNK = 256
"""The pairs that are compared with all others at once."""


class Embed(ReadingMethod):
    """Embed queries and documents by the pooled hidden states of a network (Reimers & Gurevych, 2019).

    `pooling`, `similarity`, `length`, `query_prompt` and `document_prompt` are by default those of the model's own
    files for sentence-transformers; without such files the mean of an encoder and the last token of a language model,
    the cosine, 512 tokens or what the model reads, and no prompts. The loss is also that of the first `dimensions`
    numbers of embeddings (Matryoshka, Kusupati et al., 2022). Held out, each query is compared with the documents of
    at most `candidates` pairs of its split, and `k` is that of nDCG@k and recall@k.
    """

    reads_texts_apart = True

    def __init__(
        self,
        model: Model,
        adaptation: Adaptation,
        optimizer: Optimizer,
        *,
        objective: PairObjective,
        pooling: Literal["auto", "mean", "cls", "max", "lasttoken"] = "auto",
        similarity: Literal["auto", "cosine", "dot"] = "auto",
        length: int | None = None,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        dimensions: list[int] | None = None,
        candidates: int = 1000,
        k: int = 10,
    ) -> None:
        super().__init__(model, adaptation, optimizer)
        if dimensions is not None and (min(dimensions, default=0) < 1 or len(set(dimensions)) < len(dimensions)):
            raise RecipeError(
                f"method.dimensions is {dimensions}.", where="method.dimensions", hint="Name each number, from 1, once."
            )
        for name, value in {"length": length, "candidates": candidates, "k": k}.items():
            if value is not None and value < 1:
                raise RecipeError(f"method.{name} is {value}.", where=f"method.{name}", hint="Use 1 or more.")
        self.objective, self.pooling, self.similarity, self.length = objective, pooling, similarity, length
        self.query_prompt, self.document_prompt = query_prompt, document_prompt
        self.dimensions, self.candidates, self.k = dimensions, candidates, k
        self.measures = objective.measures
        self.preparation = CachedGradients(self)
        self._embedding: TextEmbedding | None = None
        self._held_out_pairs: dict[str, HeldOutPairs] = {}
        self._validated: list[EmbeddedPairs] = []

    @property
    def embedding(self) -> TextEmbedding:
        """How texts are pooled and prompted: as the recipe says, else as the model's own files do."""
        if self._embedding is None:
            self._embedding = embedding_of(
                self.model,
                pooling=None if self.pooling == "auto" else self.pooling,
                similarity=None if self.similarity == "auto" else self.similarity,
                length=self.length,
                query_prompt=self.query_prompt,
                document_prompt=self.document_prompt,
                dimensions=self.dimensions or (),
            )
        return self._embedding

    def recall(self, manifest: Mapping[str, Any]) -> None:
        if "embedding" in manifest:
            self._embedding = TextEmbedding.from_json(manifest["embedding"])

    def learn(self, examples: Mapping[str, Sequence[Example]]) -> Any:
        self._held_out_pairs = {split: HeldOutPairs(each, self.candidates) for split, each in examples.items()}
        return self.embedding.as_json()

    def _know(self, network: nn.Module) -> None:
        if is_reward_model(network):
            raise RecipeError(
                f"{type(unwrapped(network)).__name__} has a head, and an embedding is made of hidden states.",
                where="model",
                hint="Choose the model that the head was put on.",
            )
        width = int(cast(Any, unwrapped(network)).config.get_text_config().hidden_size)
        if wide := [one for one in self.embedding.dimensions if one > width]:
            raise RecipeError(f"{wide[0]} dimensions are more than the model's {width}.", where="method.dimensions")

    def _when_adapted(self) -> None:
        """What embeddings are not made of stays as it is."""
        _freeze_unread(self.network)
        embedding = self.embedding
        self.facts["Pooling"] = f"{embedding.pooling}, {embedding.similarity}, of {embedding.length} tokens at most"
        self._say_layout()

    def _prove(self) -> float:
        return prove_embedder(self.network, self.embedding.pooling)

    def encode(self, example: Example, tokenizer: PreTrainedTokenizerBase) -> Row:
        pair = pair_of(example)
        self.objective.check(example, pair)
        texts = [self._encoded(pair.query, tokenizer, "query")]
        texts += [self._encoded(text, tokenizer, "document") for text in (pair.document, *pair.negatives)]
        values = {"score": score_of(example)} if self.objective.graded else {}
        closing = min(closing for _, closing in texts)
        return Row(tuple(sequence for sequence, _ in texts), values, read_only=True, closing=closing)

    def _encoded(
        self, text: str, tokenizer: PreTrainedTokenizerBase, kind: Literal["query", "document"]
    ) -> tuple[TokenSequence, int]:
        return encode_for_embedding(text, tokenizer, self.embedding, kind)

    def embeddings(self, batch: Batch) -> Tensor:
        """The pooled hidden states of each text of a batch, float32 [sequences, width]."""
        return text_embeddings(self.network, batch, self.embedding.pooling)

    def total(self, pairs: EmbeddedPairs) -> Tensor:
        """The sum of the loss over the pairs of a step, for all numbers of embeddings and for the first of them."""
        terms = [self.objective.loss(self._compared(pairs, width)) for width in self._widths]
        return torch.stack(terms).sum() + 0 * (pairs.queries.sum() + pairs.documents.sum() + pairs.negatives.sum())

    @property
    def _widths(self) -> tuple[int | None, ...]:
        return (None, *self.embedding.dimensions)

    def _compared(self, pairs: EmbeddedPairs, width: int | None) -> EmbeddedPairs:
        return pairs.changed(lambda embeddings: as_compared(embeddings, self.embedding, width))

    def loss(self, batch: Batch) -> Loss:
        if isinstance(batch, CachedBatch):
            return cached_loss(self, batch)
        pairs = pairs_of(self.embeddings(batch), batch)
        return Loss(self.total(pairs), torch.tensor(float(len(pairs)), device=pairs.queries.device))

    def validation_step(self, batch: Batch, index: int) -> None:
        """Keep the embeddings of a held-out batch: its pairs are compared with all others of the split."""
        self._validated.append(pairs_of(self.embeddings(batch), batch))

    def on_validation_epoch_end(self) -> None:
        own = EmbeddedPairs.joined(self._validated)
        self._validated = []
        losses = self._losses(own, gathered(own, self.trainer.world_size))
        self._held_out.add(Loss(losses.sum(), torch.tensor(float(len(own)), device=losses.device)))
        super().on_validation_epoch_end()

    def _losses(self, own: EmbeddedPairs, others: EmbeddedPairs) -> Tensor:
        """The loss of each pair against the others, [pairs]."""
        found = torch.zeros(len(own), device=own.queries.device)
        for width in self._widths:
            compared, others_compared = self._compared(own, width), self._compared(others, width)
            for start in range(0, len(own), CHUNK):
                rows = compared.rows(start, start + CHUNK)
                found[start : start + CHUNK] += self.objective.losses(rows, others_compared)
        return found

    @torch.no_grad()
    def measured_of(self, examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """The loss and the measures of the objective, each example beside its whole split."""
        compared = self.compared(self.network, examples, rows)
        losses = self._losses(compared.own, compared.others).double().cpu().numpy()
        found = {"loss": np.stack([losses, np.ones_like(losses)], 1)}
        whole = compared.changed(lambda embeddings: as_compared(embeddings, self.embedding))
        return found | self.statistics(whole)

    def statistics(self, compared: Compared) -> dict[str, NDArray[np.float64]]:
        """Those of the objective's measures, by embeddings as they are compared."""
        if not self.objective.graded:
            return ranking_statistics(compared.rankings()[0], self.k)
        values, scores = zip(*(_graded(one) for one in (compared.own, compared.others)), strict=True)
        return {"spearman": rank_statistics(values[0], scores[0], values[1], scores[1])}

    def compared(self, network: nn.Module, examples: Sequence[Example], rows: Sequence[Row]) -> Compared:
        """The rows of examples beside the pairs of their split, embedded by a network."""
        held_out = self._split_of(examples)
        tokenizer = self.model.tokenizer
        corpus = [self.encode(example, tokenizer) for example in held_out.drawn]
        relevant = [self._relevant(held_out, pair_of(example), tokenizer) for example in examples]
        return Compared.of(rows, corpus, relevant, lambda texts: pooled_of(network, texts, self.embedding.pooling))

    def _split_of(self, examples: Sequence[Example]) -> HeldOutPairs:
        split = str(examples[0].get("split", "")) if examples else ""
        return self._held_out_pairs.get(split) or HeldOutPairs(examples, self.candidates)

    def _relevant(
        self, held_out: HeldOutPairs, pair: TextPair, tokenizer: PreTrainedTokenizerBase
    ) -> list[TokenSequence]:
        if self.objective.graded:
            return []
        documents = {pair.document: None, **dict.fromkeys(held_out.relevant.get(pair.query, ()))}
        return [self._encoded(document, tokenizer, "document")[0] for document in documents]

    def finish(self, predictor: Predictor, examples: Mapping[str, Sequence[Example]]) -> Mapping[str, Any]:
        """Say how embeddings are made, and show what the test split is most wrong about."""
        if test := list(examples.get("test", ())[:MOST]):
            self._show(predictor, test)
        return {"embedding": self.embedding.as_json()}

    @torch.no_grad()
    def _show(self, predictor: Predictor, test: Sequence[Example]) -> None:
        rows = [self.encode(example, predictor.tokenizer) for example in test]
        with evaluation_mode(predictor.network):
            compared = self.compared(predictor.network, test, rows)
        if self.embedding.dimensions:
            self.sections.append(worth_of_dimensions(compared, self.embedding, self.measures, self.statistics))
        if not self.objective.graded:
            whole = compared.changed(lambda embeddings: as_compared(embeddings, self.embedding))
            corpus = [pair_of(example) for example in self._split_of(test).drawn]
            self.sections.append(most_wrong(whole, [pair_of(example) for example in test], corpus))


def _graded(pairs: EmbeddedPairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cosines and the scores of pairs."""
    cosines = cosine_similarity(pairs.queries, pairs.documents)
    return cosines.double().cpu().numpy(), pairs.scores.double().cpu().numpy()


def _freeze_unread(network: nn.Module) -> None:
    """Leave a pooler and an LM head of its own as they are: no embedding is made of them."""
    inner = cast(Any, unwrapped(network))
    head = inner.get_output_embeddings() if hasattr(inner, "get_output_embeddings") else None
    read = inner.get_input_embeddings()
    tied = head is not None and getattr(head, "weight", None) is getattr(read, "weight", None)
    for part in (getattr(inner, "pooler", None), None if tied else head):
        if isinstance(part, nn.Module):
            part.requires_grad_(False)
