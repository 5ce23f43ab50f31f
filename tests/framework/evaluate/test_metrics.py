"""Each metric against the library that the field trusts for it, its totals against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nervaluate import Evaluator
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import CHRF
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score
from torchmetrics.functional.text import squad

from luthier.evaluation.metrics.accuracy import Accuracy
from luthier.evaluation.metrics.chrf import Chrf
from luthier.evaluation.metrics.exact_match import ExactMatch
from luthier.evaluation.metrics.macro_f1 import MacroF1
from luthier.evaluation.metrics.metric import Attempt
from luthier.evaluation.metrics.rouge_l import RougeL, longest_common_subsequence
from luthier.evaluation.metrics.span_f1 import SpanF1
from luthier.evaluation.metrics.spans import spans

WORDS = ["the", "a", "cat", "Dog", "sat_on", "mat,", "12", "don't", "quickly.", "U.S.", "red-hot"]


def value(metric, attempts):
    return float(metric.reduce(metric.statistics(attempts).sum(0)))


@pytest.fixture
def pairs():
    generator = np.random.default_rng(3)

    def text():
        return " ".join(generator.choice(WORDS, generator.integers(0, 12)))

    return [Attempt("", text(), text()) for _ in range(60)]


def test_exact_match_is_that_of_squad(pairs):
    attempts = [*pairs, Attempt("", "The  cat!", "cat"), Attempt("", "An apple", "a apple"), Attempt("", "", "the")]
    given = [{"prediction_text": a.output, "id": str(i)} for i, a in enumerate(attempts)]
    right = [{"answers": {"answer_start": [0], "text": [a.reference]}, "id": str(i)} for i, a in enumerate(attempts)]
    assert 100 * value(ExactMatch(), attempts) == pytest.approx(float(squad(given, right)["exact_match"]))
    assert value(ExactMatch(normalise=False), [Attempt("", "The cat", "cat"), Attempt("", " cat\n", "cat")]) == 0.5


def test_rouge_l_is_that_of_rouge_score(pairs):
    scorer = RougeScorer(["rougeL"])
    for attempt in pairs:
        theirs = scorer.score(attempt.reference, attempt.output)["rougeL"].fmeasure
        assert value(RougeL(), [attempt]) == pytest.approx(theirs)


def test_rouge_l_knows_words_of_other_scripts():
    assert value(RougeL(), [Attempt("", "Привет, мир", "привет мир")]) == 1.0


def test_the_longest_common_subsequence_may_span_machine_words():
    left = [str(index) for index in range(1000)]
    assert longest_common_subsequence(left, left[::3]) == 334
    assert longest_common_subsequence(left, left[::-1]) == 1
    assert longest_common_subsequence([], left) == 0


@pytest.mark.parametrize("words", [0, 2])
def test_chrf_is_that_of_sacrebleu(pairs, words):
    theirs = CHRF(word_order=words).corpus_score([a.output for a in pairs], [[a.reference for a in pairs]]).score
    assert value(Chrf(word_order=words), pairs) == pytest.approx(theirs)
    assert value(Chrf(), [Attempt("", "", "abc")]) == 0.0


def test_accuracy_and_macro_f1_are_those_of_torchmetrics():
    generator = np.random.default_rng(0)
    true, said = generator.integers(0, 4, 80), generator.integers(0, 3, 80)
    attempts = [Attempt("", str(output), str(reference)) for output, reference in zip(said, true, strict=True)]
    true, said = torch.from_numpy(true), torch.from_numpy(said)
    macro = multiclass_f1_score(said, true, num_classes=4, average="macro")
    micro = multiclass_accuracy(said, true, num_classes=4, average="micro")
    assert value(MacroF1(), attempts) == pytest.approx(float(macro))
    assert value(Accuracy(), attempts) == pytest.approx(float(micro))


def test_a_class_that_a_resample_lacks_does_not_lower_its_macro_f1():
    attempts = [Attempt("", "a", "a"), Attempt("", "b", "b")]
    statistics = MacroF1().statistics(attempts)
    np.testing.assert_allclose(MacroF1().reduce(np.stack([statistics[0], statistics.sum(0)])), [1.0, 1.0])


def test_spans_are_read_from_json_and_from_lines():
    assert spans('["Rome", "Oslo"]') == [("span", "Rome"), ("span", "Oslo")]
    assert spans('{"person": ["Ann", "Bo"], "city": "Rome", "date": null}') == [
        ("person", "Ann"), ("person", "Bo"), ("city", "Rome"),
    ]  # fmt: skip
    assert spans('```json\n[{"type": "city", "text": "Rome"}]\n```') == [("city", "Rome")]
    assert spans("- city: Rome\n2. person: Ann\nOslo\n\n") == [("city", "Rome"), ("person", "Ann"), ("span", "Oslo")]
    assert spans("  ") == []
    assert spans("[" * 100_000) == [("span", "[" * 100_000)]


QUESTION = "Ann met Bo in Rome; later Ann left New York."
REFERENCE = '{"person": ["Ann", "Bo", "Ann"], "city": ["Rome", "New York"]}'
OUTPUT = '{"person": ["Ann", "Rome"], "city": ["York", "Paris"]}'


@pytest.mark.parametrize(
    ("ours", "theirs"), [("strict", "strict"), ("exact", "exact"), ("partial", "partial"), ("type", "ent_type")]
)
def test_span_f1_is_that_of_nervaluate(ours, theirs):
    def entity(label, text, nth=0):
        start = QUESTION.index(text, nth)
        return {"label": label, "start": start, "end": start + len(text) - 1}

    true = [
        entity("person", "Ann"),
        entity("person", "Bo"),
        entity("person", "Ann", 5),
        entity("city", "Rome"),
        entity("city", "New York"),
    ]
    said = [
        entity("person", "Ann"),
        entity("person", "Rome"),
        entity("city", "York"),
        {"label": "city", "start": 900, "end": 904},
    ]
    result = Evaluator([true], [said], tags=["person", "city"]).evaluate()["overall"][theirs]
    assert result.f1 > 0
    assert value(SpanF1(match=ours), [Attempt(QUESTION, OUTPUT, REFERENCE)]) == pytest.approx(result.f1)


def test_a_span_that_stands_nowhere_is_right_only_if_the_reference_names_it():
    metric = SpanF1()
    assert value(metric, [Attempt("Ann left.", '["1999"]', '["1999"]')]) == 1.0
    assert value(metric, [Attempt("Ann left.", '["1999", "2000"]', '["1999"]')]) == pytest.approx(2 / 3)
    assert value(metric, [Attempt("Ann left.", "", '["Ann"]')]) == 0.0
    assert value(metric, [Attempt("Ann left.", "[]", "[]"), Attempt("Ann left.", '["Ann"]', '["Ann"]')]) == 1.0


@pytest.mark.parametrize("metric", [ExactMatch(), RougeL(), Chrf(), MacroF1(), Accuracy(), SpanF1()])
def test_many_totals_are_reduced_at_once(metric, pairs):
    statistics = metric.statistics(pairs)
    halves = np.stack([statistics[:30].sum(0), statistics[30:].sum(0)])
    one_by_one = [metric.reduce(half) for half in halves]
    np.testing.assert_allclose(metric.reduce(halves), one_by_one)
    assert statistics.shape[0] == len(pairs)
