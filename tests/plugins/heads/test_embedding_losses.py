"""Losses of embedders are those of sentence-transformers, and their cached gradients those of the whole batch."""

from __future__ import annotations

import json
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.functional import normalize

from luthier.testing.twin import twin
from luthier_heads.cached_gradients import pairs_of
from luthier_heads.embedded_pairs import EmbeddedPairs
from luthier_heads.graded_similarity import Cosent, CosineSimilarity
from luthier_heads.multiple_negatives import MultipleNegatives
from luthier_heads.pair_objectives import PairObjective
from luthier_heads.triplet import Triplet

PAIRS, WIDTH = 7, 12


class Fixed(torch.nn.Module):
    """In place of a network: sentence-transformers' losses are given embeddings."""

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": features["embedding"]}

    def get_embedding_dimension(self) -> int:
        return WIDTH


def embeddings(columns: int) -> list[Tensor]:
    drawn = torch.randn(columns, PAIRS, WIDTH, generator=torch.Generator().manual_seed(1))
    return [column.double() for column in drawn]


def made(columns: list[Tensor], scores: Tensor | None = None, *, cosine: bool = True) -> EmbeddedPairs:
    texts = torch.stack(columns, 1).flatten(0, 1)
    numbers = torch.arange(len(texts))
    found = EmbeddedPairs.of(texts, numbers, [len(columns)] * PAIRS, torch.zeros(PAIRS) if scores is None else scores)
    return found.changed(lambda each: normalize(each, dim=-1)) if cosine else found


def theirs(name: str, columns: list[Tensor], labels: Tensor | None = None, **settings: Any) -> float:
    losses = import_module("sentence_transformers.sentence_transformer.losses")
    model: Any = Fixed()
    loss = getattr(losses, name)(model, **settings)
    features = [{"embedding": column} for column in columns]
    return float(loss(features, torch.zeros(PAIRS) if labels is None else labels))


def ours(objective: PairObjective, pairs: EmbeddedPairs) -> float:
    return float(objective.loss(pairs)) / len(pairs)


@pytest.mark.parametrize("columns", [2, 3, 4])
@pytest.mark.parametrize("scale", [20.0, 3.0])
def test_multiple_negatives_are_those_of_sentence_transformers(columns: int, scale: float) -> None:
    texts = embeddings(columns)
    expected = theirs("MultipleNegativesRankingLoss", texts, scale=scale)
    assert ours(MultipleNegatives(temperature=1 / scale), made(texts)) == pytest.approx(expected, abs=1e-5)
    both = theirs(
        "MultipleNegativesRankingLoss", texts, scale=scale, directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )  # fmt: skip
    assert ours(MultipleNegatives(temperature=1 / scale, symmetric=True), made(texts)) == pytest.approx(both, abs=1e-5)
    assert both != pytest.approx(expected, abs=1e-3)


def test_graded_losses_are_those_of_sentence_transformers() -> None:
    texts, scores = embeddings(2), torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0, 0.3])
    pairs = made(texts, scores)
    assert ours(CosineSimilarity(), pairs) == pytest.approx(theirs("CosineSimilarityLoss", texts, scores), abs=1e-5)
    # theirs is one number for a step, ours the same times its pairs
    assert ours(Cosent(), pairs) == pytest.approx(theirs("CoSENTLoss", texts, scores), abs=1e-5)


def test_triplets_are_those_of_sentence_transformers() -> None:
    metric = import_module("sentence_transformers.sentence_transformer.losses.triplet").TripletDistanceMetric
    texts = embeddings(3)
    expected = theirs("TripletLoss", texts, distance_metric=metric.COSINE, triplet_margin=0.3)
    assert ours(Triplet(margin=0.3), made(texts)) == pytest.approx(expected, abs=1e-5)
    expected = theirs("TripletLoss", texts, distance_metric=metric.EUCLIDEAN, triplet_margin=5)
    assert ours(Triplet(margin=5, distance="euclidean"), made(texts, cosine=False)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("objective", ["MultipleNegativesRankingLoss", "CoSENTLoss"])
def test_first_dimensions_add_up_as_in_sentence_transformers(objective: str) -> None:
    losses = import_module("sentence_transformers.sentence_transformer.losses")
    model: Any = Fixed()
    texts, scores = embeddings(2), torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0, 0.3])
    inner = getattr(losses, objective)(model)
    loss = losses.MatryoshkaLoss(model, inner, matryoshka_dims=[WIDTH, 5, 3])
    expected = float(loss([{"embedding": text} for text in texts], scores))
    own: PairObjective = MultipleNegatives() if objective.startswith("Mult") else Cosent()
    raw = made(texts, scores, cosine=False)
    found = sum(
        ours(own, raw.changed(lambda each, width=width: normalize(each[:, :width], dim=-1))) for width in (WIDTH, 5, 3)
    )
    assert found == pytest.approx(expected, abs=1e-5)


def test_equal_texts_are_no_negatives() -> None:
    """The second pair has the document of the first, the third its query: they are left out of its softmax."""
    texts = embeddings(2)
    texts[1][1], texts[0][2] = texts[1][0], texts[0][0]
    pairs = made(texts)
    pairs.document_ids[1], pairs.query_ids[2] = pairs.document_ids[0], pairs.query_ids[0]
    similar = pairs.queries @ pairs.documents.T * 20
    kept = similar[0, [0, 3, 4, 5, 6]]
    assert float(MultipleNegatives().losses(pairs, pairs)[0]) == pytest.approx(float(kept.logsumexp(0) - similar[0, 0]))


def test_a_reranker_learns_from_the_cross_entropy_of_torch_and_the_ranknet_of_sentence_transformers() -> None:
    from torch.nn import BCEWithLogitsLoss

    from luthier_heads.rerank_objectives import Graded, PairwiseLogistic, PairwiseMargin, Pointwise

    outputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))
    first, others, owners = outputs[:, 0], outputs[:, 1:].flatten(), torch.arange(5).repeat_interleave(2)
    labels = torch.tensor([[1.0, 0.0, 0.0]] * 5)
    sums, weights = Pointwise().losses(first, others, owners, torch.zeros(5))
    assert float(sums.sum() / weights.sum()) == pytest.approx(float(BCEWithLogitsLoss()(outputs, labels)), abs=1e-6)
    scores = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0])
    sums, weights = Graded().losses(first, others[:0], owners[:0], scores)
    assert float(sums.sum() / weights.sum()) == pytest.approx(float(BCEWithLogitsLoss()(first, scores)), abs=1e-6)
    pairwise = torch.log1p(torch.exp(outputs[:, 1:] - outputs[:, :1]))  # Burges et al. (2005), equation 3
    sums, weights = PairwiseLogistic().losses(first, others, owners, scores)
    assert float(sums.sum() / weights.sum()) == pytest.approx(float(pairwise.mean()), abs=1e-6)
    expected = torch.nn.MarginRankingLoss(margin=0.7)(first[owners], others, torch.ones(10))
    sums, weights = PairwiseMargin(margin=0.7).losses(first, others, owners, scores)
    assert float(sums.sum() / weights.sum()) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("objective", ["multiple_negatives", "cosent"])
def test_cached_gradients_are_those_of_the_whole_step(objective: str, tmp_path: Path) -> None:
    """With dropout: both passes over a micro-batch draw the same."""
    words = ["method=embed", "model=tiny_encoder", f"method/objective={objective}", "method.dimensions=[8]"]
    words += ["model.config.hidden_dropout_prob=0.1", "model.config.attention_probs_dropout_prob=0.1"]
    rows = [
        {
            "messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"No {n}."}],
            "score": n / 9,
        }
        for n in range(9)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words += ["data=jsonl", "data/format=canonical", f"data.file={tmp_path / 'rows.jsonl'}", "data.splits.test=0.1"]
    run = twin(tmp_path / "run", *words, "batch.packing=false", "batch.micro=2", "batch.size=6")
    batches = list(islice(run.data.first_batches(), 3))
    method: Any = run.method
    method.configure_model()
    method.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)

    def gradients() -> dict[str, Tensor]:
        found = {name: weight.grad for name, weight in method.named_parameters() if weight.grad is not None}
        method.zero_grad()
        return found

    torch.manual_seed(0)
    joined = EmbeddedPairs.joined([pairs_of(method.embeddings(batch), batch) for batch in batches])
    total = method.total(joined)
    total.backward()
    expected = gradients()
    torch.manual_seed(0)
    prepared = method.preparation(batches, 0)
    losses = []
    for batch in reversed(prepared):  # whatever is drawn between
        torch.rand(3)
        losses.append(method.loss(batch))
        losses[-1].sum.backward()
    found = gradients()
    assert found.keys() == expected.keys()
    largest = max(float(each.abs().max()) for each in expected.values())
    assert largest > 1e-2
    for name, each in expected.items():
        assert float((found[name] - each).abs().max()) < 1e-6 * max(1.0, largest), name
    assert float(sum(loss.sum for loss in losses)) == pytest.approx(float(total), rel=1e-5)
    assert sum(float(loss.weight) for loss in losses) == len(joined)
