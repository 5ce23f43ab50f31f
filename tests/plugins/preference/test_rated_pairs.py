"""Texts with ratings become pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.data.sources.files import Files
from luthier.errors import DataError, RecipeError
from luthier.testing.source import SourceContract
from luthier_preference.rated_pairs import RatedPairs

RATED = {"fine": 2.0, "good": 2.5, "bad": -1.0, "awful": -3.0, "middling": 0.5, "superb": 3.9, "poor": -1.5}


def texts(folder: Path, split: dict[str, str] | None = None) -> Files:
    rows = [
        {"text": said, "rating": rating, "split": (split or {}).get(said, "train")} for said, rating in RATED.items()
    ]
    (folder / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Files(file=str(folder / "rated.jsonl"), format="text")


class TestRatedPairs(SourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> RatedPairs:
        return RatedPairs(texts=texts(tmp_path), ask="How is it?")


def said(source: RatedPairs) -> list[tuple[str, str, float]]:
    return [(each["chosen"][0]["content"], each["rejected"][0]["content"], each["margin"]) for each in source]


def test_each_text_is_paired_once_with_the_first_that_is_rated_otherwise(tmp_path: Path) -> None:
    source = RatedPairs(texts=texts(tmp_path), ask="How is it?", gap=1.5)
    assert said(source) == [("fine", "bad", 3.0), ("good", "awful", 5.5), ("superb", "middling", 3.4)]
    assert source.counts == {"read": 7, "examples": 3, "train": 3, "unpaired": 1}


def test_no_text_that_is_held_out_stands_in_a_pair_that_is_trained_on(tmp_path: Path) -> None:
    held_out = {"bad": "test", "good": "test"}
    source = RatedPairs(texts=texts(tmp_path, held_out), ask="How is it?")
    for pair in source:
        both = {pair["chosen"][0]["content"], pair["rejected"][0]["content"]}
        assert both.isdisjoint(held_out) if pair["split"] == "train" else both <= held_out.keys()
    assert source.counts["test"] == 1


def test_texts_that_are_all_rated_alike_make_no_pair(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="differ by 9"):
        list(RatedPairs(texts=texts(tmp_path), ask="How is it?", gap=9))
    with pytest.raises(RecipeError, match="make no pair"):
        RatedPairs(texts=texts(tmp_path), ask="How is it?", gap=0)
