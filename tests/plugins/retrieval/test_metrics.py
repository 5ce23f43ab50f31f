"""Metrics of retrieval, computed by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from luthier.errors import DataError, RecipeError
from luthier.evaluation.metrics.metric import Attempt
from luthier_retrieval.metrics.absence import Absence
from luthier_retrieval.metrics.citation_precision import CitationPrecision
from luthier_retrieval.metrics.citation_recall import CitationRecall
from luthier_retrieval.metrics.contains import Contains
from luthier_retrieval.metrics.faithfulness import Faithfulness
from luthier_retrieval.metrics.injection_success_rate import InjectionSuccessRate
from luthier_retrieval.metrics.mrr import Mrr
from luthier_retrieval.metrics.ndcg import Ndcg
from luthier_retrieval.metrics.recall import Recall
from luthier_retrieval.relevant import relevant_names


def value(metric, *attempts: Attempt) -> float:
    return float(metric.reduce(metric.statistics(attempts).sum(0)))


def attempt(found=(), relevant=(), output="", reference="", passages=()) -> Attempt:
    shown = [{"document": name, "heading": "", "text": text} for name, text in passages]
    example = {"found": list(found), "relevant": list(relevant), "passages": shown}
    return Attempt("?", output, reference, example)


FIRST, SECOND, NONE = attempt("abcd", "bdx"), attempt("abcd", "a"), attempt("abcd", "")


def test_recall_is_the_share_of_the_relevant_that_is_found():
    assert value(Recall(k=2), FIRST, SECOND, NONE) == pytest.approx((1 / 3 + 1) / 2)
    assert value(Recall(k=4), FIRST) == pytest.approx(2 / 3)


def test_ndcg_is_that_of_the_formula():
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert value(Ndcg(k=10), FIRST) == pytest.approx(gained / ideal)
    assert value(Ndcg(k=2), FIRST, SECOND, NONE) == pytest.approx((1 / math.log2(3) / (1 + 1 / math.log2(3)) + 1) / 2)


def test_mrr_is_one_over_the_first_rank():
    assert value(Mrr(), FIRST, SECOND, NONE) == pytest.approx((1 / 2 + 1) / 2)
    assert value(Mrr(), attempt("abc", "z")) == 0


def test_an_answer_contains_its_reference_word_for_word():
    right, wrong = (
        attempt(output="It costs 65 Euros [1].", reference="65 euros"),
        attempt(output="165 euros", reference="65 euros"),
    )
    assert value(Contains(), right, wrong) == 0.5


PASSAGES = [("prices", "Rehairing costs 65 euros."), ("hours", "Open until one.")]


def test_citations_are_right_where_they_name_a_relevant_document():
    both = attempt(relevant=["prices"], output="65 euros [1] [2] [7]", passages=PASSAGES)
    none = attempt(relevant=["prices"], output="65 euros", passages=PASSAGES)
    elsewhere = attempt(relevant=["wood"], output="maple [1]", passages=PASSAGES)
    assert value(CitationPrecision(), both, none, elsewhere) == pytest.approx(1 / 4)
    assert value(CitationRecall(), both, none, elsewhere) == pytest.approx(1 / 2)


def test_faithfulness_is_the_share_of_words_that_the_passages_have():
    answered = attempt(output="Rehairing costs 65 or 65 dollars [1]", passages=PASSAGES)
    silent = attempt(output="This is not in the documents.", passages=PASSAGES)
    assert value(Faithfulness(), answered, silent) == pytest.approx(3 / 6)


def test_absence_is_right_where_and_only_where_no_document_is_relevant():
    absent = "This is not in the documents."
    attempts = [
        attempt(output=absent),
        attempt(output="65"),
        attempt(relevant="a", output="65"),
        attempt(relevant="a", output=absent),
    ]
    assert value(Absence(), *attempts) == 0.5


def test_an_injection_succeeds_where_the_answer_has_its_word():
    assert value(
        InjectionSuccessRate(), attempt(output="Marzipan!"), attempt(output="65"), attempt(output="marzipans")
    ) == pytest.approx(1 / 3)
    assert InjectionSuccessRate().better == "lower"


def test_a_metric_without_its_columns_is_refused():
    with pytest.raises(RecipeError, match="needs retrieved documents"):
        Recall().statistics([Attempt("?", "", "", {"relevant": ["a"]})])
    with pytest.raises(DataError, match="which documents are relevant") as error:
        Recall().statistics([Attempt("?", "", "", {"found": ["a"], "where": "q.jsonl:3"})])
    assert error.value.where == "q.jsonl:3"


@pytest.mark.parametrize(
    ("given", "names"),
    [("prices.md", ["prices.md"]), (["a.md", "b.md"], ["a.md", "b.md"]), (None, []), ("", []), ([], [])],
)
def test_a_relevant_document_given_as_text_is_one_name(given: Any, names: list[str]) -> None:
    assert relevant_names({"relevant": given}) == names


def test_what_is_no_list_of_names_is_refused() -> None:
    with pytest.raises(DataError, match="a list of names of documents is expected"):
        relevant_names({"relevant": [3], "where": "x:1"})
