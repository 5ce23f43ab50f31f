"""Sources mix in the asked proportions, in one seeded order, and nothing crosses a split."""

from __future__ import annotations

from collections import Counter

import pytest

from luthier.data.sources.files import Files
from luthier.data.sources.mixture import Mixture
from luthier.data.splits import GivenSplits, HashSplits
from luthier.errors import RecipeError


@pytest.fixture
def make(write, pairs):
    def make(name, start, end, **settings):
        return Files(file=str(write(pairs(end)[start:], f"{name}.jsonl")), **{"splits": GivenSplits(), **settings})

    return make


def told(mixture):
    return Counter(example["source"] for example in mixture)


def test_without_weights_every_example_comes_once_in_a_seeded_order(make):
    sources = {"a": make("a", 0, 30), "b": make("b", 30, 40)}
    examples = list(Mixture(sources=sources))
    order = [example["where"] for example in examples]
    assert {example["source"] for example in examples[:12]} == {"a", "b"}
    assert len(set(order)) == len(order) == 40
    assert order == [example["where"] for example in Mixture(sources=sources)]
    assert order != [example["where"] for example in Mixture(sources=sources, seed=1)]


def test_weights_hold_until_the_first_source_runs_out(make):
    sources = {"a": make("a", 0, 400), "b": make("b", 400, 500)}
    mixture = Mixture(sources=sources, weights={"a": 1.0, "b": 1.0})
    counts = told(mixture)
    assert counts["b"] == 100
    assert 70 < counts["a"] < 135
    assert mixture.counts["left_out_by_weights"] == 400 - counts["a"]
    assert mixture.counts["from_a"] == counts["a"]
    assert any("left out to keep the weights, as b ran out first" in warning for warning in mixture.warnings)


def test_weights_can_let_the_small_source_start_again(make):
    sources = {"a": make("a", 0, 400), "b": make("b", 400, 420)}
    mixture = Mixture(sources=sources, weights={"a": 1.0, "b": 1.0}, ends="last")
    counts = told(mixture)
    assert counts["a"] == 400
    assert 320 < counts["b"] < 480
    assert mixture.counts["repeated"] == counts["b"] - 20


def test_held_out_examples_come_exactly_once_whatever_the_weights(make):
    for ends in ("first", "last"):
        sources = {"a": make("a", 0, 300, splits=HashSplits()), "b": make("b", 300, 340, splits=HashSplits(test=0.5))}
        alone = {example["where"] for source in sources.values() for example in source if example["split"] == "test"}
        mixed = [
            e["where"] for e in Mixture(sources=sources, weights={"a": 1, "b": 3}, ends=ends) if e["split"] == "test"
        ]
        assert sorted(mixed) == sorted(alone)


def test_an_example_that_one_source_holds_out_is_not_trained_on_from_another(make):
    sources = {"held": make("held", 0, 20, splits=HashSplits(test=1.0)), "train": make("train", 10, 60)}
    mixture = Mixture(sources=sources)
    split = {}
    for example in mixture:
        assert split.setdefault(example["messages"][0]["content"], example["split"]) == example["split"]
    assert len(split) == 60
    assert mixture.counts["duplicates"] == mixture.counts["overlap"] == 10
    assert any("only the first is kept" in warning for warning in mixture.warnings)


def test_a_source_of_held_out_examples_alone_does_not_end_or_hang_a_weighted_mixture(make):
    sources = {"held": make("held", 0, 5, splits=HashSplits(test=1.0)), "train": make("train", 10, 60)}
    for ends in ("first", "last"):
        assert told(Mixture(sources=sources, weights={"held": 9.0, "train": 1.0}, ends=ends)) == {
            "held": 5,
            "train": 50,
        }


def test_a_mixture_may_be_limited_and_counts_what_it_gave(make):
    mixture = Mixture(sources={"a": make("a", 0, 30), "b": make("b", 30, 60)}, limit=10)
    assert sum(told(mixture).values()) == 10
    assert mixture.counts["examples"] == mixture.counts["train"] == 10


def test_each_source_sets_bad_rows_aside_in_a_folder_of_its_own(write, tmp_path):
    good = '{{"prompt": "{0}", "completion": "x"}}\nbroken {0}\n'
    sources = {
        name: Files(file=str(write(good.format(name), f"{name}.jsonl")), on_bad_row="quarantine") for name in ("a", "b")
    }
    mixture = Mixture(sources=sources)
    mixture.quarantine_into(tmp_path / "run")
    assert told(mixture) == {"a": 1, "b": 1}
    assert "broken a" in (tmp_path / "run" / "a" / "quarantine.jsonl").read_text()
    assert "broken b" in (tmp_path / "run" / "b" / "quarantine.jsonl").read_text()
    assert mixture.counts["quarantined"] == 2
    assert [warning.split(":")[0] for warning in mixture.warnings if "quarantined" in warning] == ["a", "b"]


def test_the_fingerprint_names_every_source(make):
    mixture = Mixture(sources={"a": make("a", 0, 3), "b": make("b", 3, 9)}, weights={"a": 1, "b": 2})
    list(mixture)
    found = mixture.fingerprint()
    assert found["weights"] == {"a": 1, "b": 2}
    assert found["sources"]["b"]["files"][0]["rows"] == 6


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 1.0, "c": 1.0}, "no source 'c'"),
        ({"a": 1.0}, "'b' has no weight"),
        ({"a": 1, "b": 0}, "'b' has no weight"),
    ],
)
def test_weights_must_fit_the_sources(make, weights, said):
    with pytest.raises(RecipeError, match=said):
        Mixture(sources={"a": make("a", 0, 3), "b": make("b", 3, 6)}, weights=weights)


def test_a_mixture_of_nothing_says_how_to_add_a_source():
    with pytest.raises(RecipeError) as caught:
        Mixture()
    assert "/data@data.sources.NAME" in caught.value.hint
