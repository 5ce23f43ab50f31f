"""What every filter keeps to; inherit it, and say the answer.

class TestMine(FilterContract):
    answer = "data/filter=mine"
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from luthier.contracts.examples import Example
from luthier.data.filters import Filter
from luthier.data.records import Tally
from luthier.data.sources.shipped import Shipped
from luthier.errors import DataError
from luthier.testing.part import PartContract


class FilterContract(PartContract):
    """Filters `examples`, which are the sixteen of `data=tiny` unless the suite is given others."""

    around: ClassVar[tuple[str, ...]] = ("data=filtered", "data@data.source=tiny")
    place: ClassVar[str] = "data.filters.part"

    def examples(self) -> Sequence[Example]:
        """The examples to filter."""
        return list(Shipped(name="tiny"))

    def test_it_gives_the_same_examples_each_time(self) -> None:
        part = self._filter()
        first = list(part(self.examples(), Tally()))
        assert list(part(self.examples(), Tally())) == first
        assert list(self._filter()(self.examples(), Tally())) == first

    def test_it_changes_no_example_that_it_was_given(self) -> None:
        given = self.examples()
        before = copy.deepcopy(given)
        list(self._filter()(given, Tally()))
        assert given == before

    def test_what_it_gives_is_in_order_and_has_its_place(self) -> None:
        given = [example["where"] for example in self.examples()]
        passed = [example["where"] for example in self._filter()(self.examples(), Tally())]
        assert [where for where in given if where in set(passed)] == passed

    def test_what_it_leaves_out_or_changes_is_counted(self) -> None:
        tally, given = Tally(), self.examples()
        passed = list(self._filter()(given, tally))
        assert passed == given or sum(tally.counts.values()) > 0

    def test_a_source_without_examples_stays_empty(self) -> None:
        assert list(self._filter()([], Tally())) == []

    def test_a_source_is_filtered_by_it(self, tmp_path: Path) -> None:
        source, passed = self.run(tmp_path / "run").parts.source, list(self._filter()(self.examples(), Tally()))
        if passed:
            assert [example["where"] for example in source] == [example["where"] for example in passed]
            return
        with pytest.raises(DataError):
            list(source)

    def _filter(self) -> Filter:
        built: Filter = self.built()
        return built
