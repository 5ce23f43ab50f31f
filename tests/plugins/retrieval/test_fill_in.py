"""Cloze questions from documents."""

from __future__ import annotations

from collections import Counter

import pytest

from luthier.errors import DataError
from luthier_retrieval.fill_in import FillIn

ROW = {
    "id": "fees",
    "title": "Silver account: fees",
    "content": "## Fees\n\nOpening costs nothing. Between $5 and $10 is due each month.\n"
    "- After a year the rate falls to 2.5 % for new customers.\n- A lost card costs $12.",
}


def test_an_amount_that_stands_alone_in_its_sentence_is_left_out():
    example = FillIn()(ROW, Counter())
    asked, answer = example["messages"]
    assert asked["content"].endswith("Silver account: fees\n\nAfter a year the rate falls to ____ for new customers.")
    assert answer == {"role": "assistant", "content": "2.5 %"}
    assert example["relevant"] == ["fees"]


def test_a_document_without_an_amount_is_counted():
    counts = Counter()
    assert FillIn(longest=45)(ROW, counts) is None
    assert counts == {"without_an_amount": 1}


def test_other_columns_are_named_and_a_missing_one_is_said():
    row = {"name": "fees", "head": "Fees", "body": "Whoever loses a card pays a fee of $1,200.50 for it."}
    named = FillIn(title="head", content="body", id="name")
    assert named(row, Counter())["messages"][1]["content"] == "$1,200.50"
    with pytest.raises(DataError, match="no `content`"):
        FillIn()(row, Counter())
