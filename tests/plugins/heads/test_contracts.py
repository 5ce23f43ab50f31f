"""The parts of luthier_heads pass the suites that strangers inherit."""

from __future__ import annotations

import pytest

from luthier.testing.format import FormatContract
from luthier.testing.method import MethodContract


class TestClassifyAnEncoder(MethodContract):
    answer, words = "method=classify", ("model=tiny_encoder",)


@pytest.mark.exhaustive
class TestFocal(MethodContract):
    answer = "method=classify"
    words = ("model=tiny_encoder", "method/objective=focal_loss", "method.objective.class_weights=balanced")


class TestEmbed(MethodContract):
    """Its loss compares all pairs of a step, in whatever micro-batches and on whatever ranks they are."""

    answer = "method=embed"
    words = ("model=tiny_encoder", "method.dimensions=[16]", "method.objective.symmetric=true")


@pytest.mark.exhaustive
class TestEmbedTriplets(MethodContract):
    answer, words = "method=embed", ("model=tiny_encoder", "method/objective=triplet")


class TestRerank(MethodContract):
    answer, words = "method=rerank", ("model=tiny_encoder",)


@pytest.mark.exhaustive
class TestRerankPairwise(MethodContract):
    answer, words = "method=rerank", ("model=tiny_encoder", "method/objective=pairwise_margin")


class TestPairs(FormatContract):
    answer = "data/format=pairs"
    rows = (
        {"query": "Which wood?", "document": "Spruce.", "id": 3},
        {"query": "Which glue?", "document": "Hide glue.", "negatives": ["Iron.", "Wax."]},
        {"query": "Which glue?", "document": "Hide glue.", "negatives": ["Iron."]},
    )


class TestGradedPairs(FormatContract):
    answer = "data/format=graded_pairs"
    rows = ({"sentence1": "Spruce.", "sentence2": "Fir.", "score": 0.7},)


class TestTag(MethodContract):
    answer, words = "method=tag", ("model=tiny_encoder",)


class TestMaskedLanguageModeling(MethodContract):
    answer, words = "method=mlm", ("model=tiny_encoder", "method.units=whole_words")
