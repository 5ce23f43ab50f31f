"""What every search for passages keeps to; inherit it, and say the answer.

class TestMine(SearchContract):
    answer = "prompt/search=mine"
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from luthier.contracts.search import ReusedRows, Search
from luthier.testing.part import PartContract

TEXTS = [
    "The top of a violin is spruce.", "The back and the sides are maple.", "Strings are of steel or gut.",
    "Glue of hides is brushed on warm.", "The varnish dries for weeks in the sun.",
]  # fmt: skip


@dataclass(frozen=True)
class IndexedTexts:
    """A folder with the index of some texts."""

    folder: Path
    """The folder."""
    texts: list[str]
    """The texts, in order."""

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.texts)


class SearchContract(PartContract):
    """Indexes five texts, in one segment and in two, and searches them."""

    around: ClassVar[tuple[str, ...]] = ("prompt=retrieval", "prompt/documents=workshop")

    def test_the_best_passages_come_first(self, tmp_path: Path) -> None:
        numbers, scores = self._opened(tmp_path, TEXTS)("Which wood is the top of a violin?", 3)
        assert 0 < len(numbers) <= 3
        assert len(set(numbers.tolist())) == len(numbers) == len(scores)
        assert set(numbers.tolist()) <= set(range(len(TEXTS)))
        assert (np.diff(scores) <= 0).all()
        assert np.isfinite(scores).all()

    def test_there_may_be_fewer_passages_than_it_is_asked_for(self, tmp_path: Path) -> None:
        numbers, _ = self._opened(tmp_path, TEXTS)("Which wood?", 50)
        assert len(numbers) <= len(TEXTS)

    def test_segments_are_numbered_through(self, tmp_path: Path) -> None:
        whole, _ = self._opened(tmp_path / "one", TEXTS)("Glue of hides", 1)
        parts, _ = self._opened(tmp_path / "two", TEXTS[:2], TEXTS[2:])("Glue of hides", 1)
        assert whole.tolist() == parts.tolist() == [3]

    def test_an_index_is_opened_again(self, tmp_path: Path) -> None:
        there = self._opened(tmp_path, TEXTS)("Which wood?", 3)[0].tolist()
        again: Search = self.built()
        again.open([IndexedTexts(tmp_path / "0", TEXTS)])
        assert again("Which wood?", 3)[0].tolist() == there

    def test_rows_of_an_earlier_segment_are_used_again(self, tmp_path: Path) -> None:
        fresh = self._opened(tmp_path / "fresh", TEXTS)("Which wood?", 3)[0].tolist()
        search: Search = self.built()
        old, new = tmp_path / "old", tmp_path / "new"
        for folder in (old, new):
            folder.mkdir()
        search.write(old, TEXTS[:3], [])
        search.write(new, TEXTS, [ReusedRows(old, np.arange(3))])
        search.open([IndexedTexts(new, TEXTS)])
        assert search("Which wood?", 3)[0].tolist() == fresh

    def test_it_is_called_the_same_each_time(self) -> None:
        first: Search = self.built()
        second: Search = self.built()
        assert first.identity() == second.identity()

    @pytest.mark.parametrize("stage", ["baseline"])
    def test_a_run_searches_with_it(self, stage: str, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", f"stages=[{stage}]", "batch.length=1024")
        run.carry_out()
        assert run.before is not None

    def _opened(self, folder: Path, *segments: list[str]) -> Search:
        search: Search = self.built()
        parts = []
        for number, texts in enumerate(segments):
            place = folder / str(number)
            place.mkdir(parents=True)
            search.write(place, texts, [])
            parts.append(IndexedTexts(place, texts))
        search.open(parts)
        return search
