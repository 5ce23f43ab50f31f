"""What every selection of in-context examples keeps to; inherit it, and say the answer.

class TestMine(SelectionContract):
    answer = "prompt/selection=mine"
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import ClassVar

import pytest

from luthier.data.selection import Demonstration, Selection
from luthier.testing.part import PartContract

POOL = [
    Demonstration(question=f"Label: {text}", text=text, answer=label, label=label)
    for text, label in [
        ("The top is spruce.", "wood"), ("The back is maple.", "wood"), ("Strings are steel.", "metal"),
        ("The frets are brass.", "metal"), ("The bridge is rosewood.", "wood"), ("Screws are iron.", "metal"),
    ]
]  # fmt: skip


class SelectionContract(PartContract):
    """Ranks a pool of six examples for questions, and prompts the tiny model with them."""

    around: ClassVar[tuple[str, ...]] = ("prompt=few_shot",)

    def test_it_ranks_examples_of_the_pool_each_at_most_once(self) -> None:
        for question in ("Which wood?", "", "Strings are steel."):
            ranked = list(islice(self._selection()(question), 2 * len(POOL)))
            assert ranked, "no example for a question"
            assert len(set(ranked)) == len(ranked)
            assert all(0 <= number < len(POOL) for number in ranked)

    def test_the_same_question_has_the_same_examples(self) -> None:
        used = self._selection()
        there = list(islice(used("Which wood?"), 4))
        list(used("Strings?"))
        assert list(islice(used("Which wood?"), 4)) == there
        assert list(islice(self._selection()("Which wood?"), 4)) == there

    def test_a_fixed_ranking_is_that_of_any_question(self) -> None:
        one = self._selection()
        assert isinstance(one.best_last, bool)
        assert not one.fixed or list(one("Which wood?")) == list(one("Strings?"))

    def test_a_pool_of_one_is_enough(self) -> None:
        one: Selection = self.built()
        one.learn(POOL[:1])
        assert list(islice(one("Which wood?"), 3)) == [0]

    @pytest.mark.parametrize("stage", ["fit"])
    def test_a_training_uses_it(self, stage: str, tmp_path: Path) -> None:
        run = self.run(tmp_path / "run", f"stages=[{stage}]")
        run.carry_out()
        assert run.end.step == 2

    def _selection(self) -> Selection:
        built: Selection = self.built()
        built.learn(POOL)
        return built
