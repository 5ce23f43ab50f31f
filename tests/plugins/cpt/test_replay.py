"""General text between a domain's, as much as was asked for."""

from __future__ import annotations

import pytest

from luthier.errors import DataError, RecipeError
from luthier.testing.source import SourceContract
from luthier_cpt.replay import Replayed
from tests.plugins.cpt.tiny_corpus import Texts, documents


def replayed(share, *, general=40, **more):
    return Replayed(
        domain=Texts(documents(20), **more), replay=Texts(documents(general, seed=1), named="g"), share=share
    )


class TestReplayed(SourceContract):
    @pytest.fixture
    def source(self):
        return replayed(0.3)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_the_share_is_of_the_characters_that_are_trained_on(share):
    source = replayed(share, general=100)
    given = list(source)
    characters = {
        name: sum(len(each["text"]) for each in given if each["source"] == name) for name in ("domain", "replay")
    }
    longest = max(len(each["text"]) for each in given)
    assert characters["replay"] == pytest.approx(share / (1 - share) * characters["domain"], abs=longest)
    assert [each["text"] for each in given if each["source"] == "domain"] == documents(20)
    assert source.counts["domain: characters"] == characters["domain"]
    assert source.counts["replay: characters"] == characters["replay"]


def test_text_to_replay_starts_again_where_it_runs_out_and_that_is_counted():
    source = replayed(0.6, general=3)
    given = [each["text"] for each in source if each["source"] == "replay"]
    assert given[:3] == given[3:6] == documents(3, seed=1)
    assert source.counts["replay: given"] == 3
    assert source.counts["replay: repeated"] == len(given) - 3


def test_without_a_share_the_general_text_is_not_even_read():
    source = replayed(0.0)
    assert {each["source"] for each in source} == {"domain"}
    assert source.replay.read == 0


def test_held_out_examples_bring_no_replay_with_them():
    source = replayed(0.5, split="test")
    assert {each["source"] for each in source} == {"domain"}


def test_what_the_general_set_holds_out_is_not_trained_on():
    source = Replayed(domain=Texts(documents(5)), replay=Texts(documents(5), split="test"), share=0.5)
    with pytest.raises(DataError, match="no training example"):
        list(source)


def test_a_share_of_everything_is_refused():
    with pytest.raises(RecipeError, match="no room"):
        replayed(1.0)
