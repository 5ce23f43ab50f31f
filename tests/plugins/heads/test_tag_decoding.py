"""Decoding of tags equals the search through all sequences, and the F1 of spans is seqeval's."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luthier.data.tagging.tags import Scheme, Span, spans_of, split_tag, tag_set, tags_of
from luthier.data.tagging.words import text_words
from luthier.data.windows import windows
from luthier.errors import RecipeError
from luthier.inference.tag_decoding import TagRules
from luthier_heads.span_scores import EXACT, FOUND, PARTIAL, TRUE, macro_f1, micro_f1, span_counts

LABELS = ("X", "Y")
REFERENCE = json.loads((Path(__file__).parent / "seqeval_reference.json").read_text())


def all_spans(words: int) -> list[list[Span]]:
    """Every set of spans that do not overlap over so many words, of two labels."""
    if words <= 0:
        return [[]]
    found = [[Span(s.start + 1, s.end + 1, s.label) for s in rest] for rest in all_spans(words - 1)]
    for length in range(1, words + 1):
        for label, rest in product(LABELS, all_spans(words - length)):
            moved = [Span(s.start + length, s.end + length, s.label) for s in rest]
            found.append([Span(0, length, label), *moved])
    return found


@pytest.mark.parametrize("scheme", ["BIO", "BILOU"])
@pytest.mark.parametrize("words", [1, 2, 4])
def test_the_best_sequence_and_the_probability_of_a_span_are_those_of_a_search_through_all(
    scheme: Scheme, words: int
) -> None:
    tags, random = tag_set(LABELS, scheme), np.random.default_rng(words)
    rules, possible = TagRules(tags), all_spans(words)
    for _ in range(20):
        scores = random.normal(size=(words, len(tags))) * 2
        totals = np.array(
            [
                sum(scores[at, tags.index(tag)] for at, tag in enumerate(tags_of(spans, words, scheme)))
                for spans in possible
            ]
        )
        best = rules.best(scores)
        assert spans_of(best) == (possible[int(totals.argmax())], 0)
        assert best == tags_of(possible[int(totals.argmax())], words, scheme)
        shares = np.exp(totals - totals.max()) / np.exp(totals - totals.max()).sum()
        wanted = sorted({span for spans in possible for span in spans})
        expected = [sum(shares[n] for n, spans in enumerate(possible) if span in spans) for span in wanted]
        assert rules.span_probabilities(scores, wanted) == pytest.approx(expected, abs=1e-9)


def test_a_sequence_that_cannot_be_is_never_the_answer() -> None:
    tags = tag_set(LABELS, "BILOU")
    rules = TagRules(tags)
    scores = np.full((3, len(tags)), -20.0)
    for word, tag in enumerate(("L-X", "B-Y", "B-X")):  # each the best by itself, and together nothing
        scores[word, tags.index(tag)] = 0
    assert tags_of(spans_of(rules.best(scores))[0], 3, "BILOU") == rules.best(scores)


def test_no_word_has_no_entity() -> None:
    rules = TagRules(tag_set(LABELS, "BIO"))
    assert rules.best(np.zeros((0, 5))) == []
    assert rules.span_probabilities(np.zeros((0, 5)), []) == []


@pytest.mark.parametrize(
    ("tags", "spans", "irregular"),
    [
        (["B-X", "I-X", "O", "B-X"], [(0, 2, "X"), (3, 4, "X")], 0),
        (["B-X", "B-X", "I-Y"], [(0, 1, "X"), (1, 2, "X"), (2, 3, "Y")], 1),
        (["I-X", "I-X", "O", "I-Y"], [(0, 2, "X"), (3, 4, "Y")], 2),
        (["B-X", "L-X", "U-X", "U-X"], [(0, 2, "X"), (2, 3, "X"), (3, 4, "X")], 0),
        (["B-X", "I-X", "E-X", "S-Y"], [(0, 3, "X"), (3, 4, "Y")], 0),
        (["X", "X", "O", "Y"], [(0, 2, "X"), (3, 4, "Y")], 0),
        (["B", "I", "O"], [(0, 2, "entity")], 0),
        (["B-real-name", "I-real-name"], [(0, 2, "real-name")], 0),
    ],
)
def test_tags_of_all_schemes_are_read(tags: list[str], spans: list[Any], irregular: int) -> None:
    assert spans_of(tags) == ([Span(*span) for span in spans], irregular)


def test_a_label_may_hold_marks_that_part_tags() -> None:
    assert split_tag("B-real-name") == ("B", "real-name")


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: case["name"])
def test_f1_is_that_of_seqeval(case: dict[str, Any]) -> None:
    labels, counts = sorted(case["f1_by_label"]), 0.0
    for true, found in zip(case["true"], case["found"], strict=True):
        counts = counts + span_counts(spans_of(true)[0], spans_of(found)[0], labels).ravel()
    assert float(micro_f1(np.asarray(counts), EXACT)) == pytest.approx(case["micro_f1"], abs=1e-12)
    assert float(macro_f1(np.asarray(counts))) == pytest.approx(case["macro_f1"], abs=1e-12)
    table = np.asarray(counts).reshape(-1, 4)
    for label, own in zip(labels, table, strict=True):
        assert 2 * own[EXACT] / (own[FOUND] + own[TRUE]) == pytest.approx(case["f1_by_label"][label], abs=1e-12)


def test_an_overlap_of_the_same_kind_counts_half_once() -> None:
    true = [Span(0, 3, "X"), Span(5, 6, "Y")]
    found = [Span(0, 1, "X"), Span(1, 3, "X"), Span(5, 6, "X")]
    counts = span_counts(true, found, LABELS)
    assert counts[0].tolist() == [0, 0.5, 3, 1]
    assert counts[1].tolist() == [0, 0, 0, 1]
    exact = span_counts(true, true, LABELS).ravel()
    assert micro_f1(exact, PARTIAL) == micro_f1(exact, EXACT) == 1


def test_words_are_runs_of_letters_and_single_signs() -> None:
    def words(text: str) -> list[str]:
        return [text[start:end] for start, end in text_words(text)]

    assert words("Dr. Ann's 3.5 %") == ["Dr", ".", "Ann", "'", "s", "3", ".", "5", "%"]
    assert words("東京 Tokyo") == ["東", "京", "Tokyo"]
    assert words("हिन्दी a\u0301b") == ["हिन्दी", "a\u0301b"]
    assert words(" \n\t") == []


@pytest.mark.parametrize(("tokens", "size"), [(1, 4), (4, 4), (5, 4), (23, 8), (1000, 31), (7, 1)])
def test_windows_answer_for_each_token_once_and_overlap(tokens: int, size: int) -> None:
    found = windows(tokens, size)
    assert [place for one in found for place in range(one.first, one.last)] == list(range(tokens))
    assert all(one.begin <= one.first and one.last <= one.end and one.end - one.begin <= size for one in found)
    for before, after in pairwise(found):
        assert before.end - after.begin >= size // 4
    with pytest.raises(RecipeError, match="holds nothing"):
        windows(5, 0)
