"""What every source of examples keeps to; inherit it and say the answer, or define its fixture.

class TestMine(SourceContract):
    answer = "data=mine"

class TestMineByItself(SourceContract):
    @pytest.fixture
    def source(self, tmp_path): return Mine(file=…)
"""

from __future__ import annotations

import copy
import json
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from luthier.contracts.examples import Source
from luthier.testing.part import PartContract

ROLES = {"system", "user", "assistant", "tool"}
SPLITS = {"train", "validation", "test"}


class SourceContract(PartContract):
    """Tests for the source of an `answer`, or of a fixture `source`, with a few examples."""

    @pytest.fixture
    def source(self) -> Source:
        """The source, made of the recipe."""
        built: Source = self.built()
        return built

    def test_each_reading_yields_the_same_examples(self, source: Source) -> None:
        first = list(source)
        assert first, "the source is empty"
        assert list(source) == first

    def test_an_interrupted_reading_does_not_change_the_next(self, source: Source) -> None:
        whole = list(source)
        list(islice(iter(source), 1))
        assert list(source) == whole

    def test_changing_an_example_does_not_change_the_next_reading(self, source: Source) -> None:
        before = copy.deepcopy(list(source))
        for example in source:
            for message in example.get("messages", []):
                message["content"] = "changed"
            example.clear()
        assert list(source) == before

    def test_every_example_has_a_place_and_a_split(self, source: Source) -> None:
        for example in source:
            assert isinstance(example["where"], str)
            assert example["where"]
            assert example["split"] in SPLITS

    def test_every_example_has_valid_messages_or_text(self, source: Source) -> None:
        for example in source:
            assert "messages" in example or isinstance(example.get("text"), str)
            for key in ("messages", "chosen", "rejected"):
                for message in example.get(key, []):
                    assert message["role"] in ROLES
                    assert isinstance(message["content"], str)

    def test_no_two_examples_are_the_same(self, source: Source) -> None:
        contents = [_content(example) for example in source]
        assert len(set(contents)) == len(contents)

    def test_counts_are_of_the_latest_reading(self, source: Source) -> None:
        once = len(list(source))
        counts = dict(source.counts)
        assert counts["examples"] == once
        assert sum(counts.get(split, 0) for split in SPLITS) >= once
        list(source)
        assert dict(source.counts) == counts
        assert all(isinstance(warning, str) for warning in source.warnings)

    def test_the_fingerprint_is_plain_json_with_a_hash_of_what_was_read(self, source: Source) -> None:
        list(source)
        written = json.dumps(source.fingerprint(), sort_keys=True)
        assert "sha256" in written or "fingerprint" in written
        assert json.dumps(source.fingerprint(), sort_keys=True) == written

    def test_it_can_be_sent_to_another_process(self, source: Source) -> None:
        assert list(pickle.loads(pickle.dumps(source))) == list(source)  # noqa: S301 - what was just pickled

    def test_a_folder_for_bad_rows_that_are_not_there_stays_empty(self, source: Source, tmp_path: Path) -> None:
        source.quarantine_into(tmp_path / "bad")
        list(source)
        assert not (tmp_path / "bad").exists()


def _content(example: dict[str, Any]) -> str:
    content = {
        key: value for key, value in example.items() if key in ("messages", "chosen", "rejected", "text", "label")
    }
    return json.dumps(content, sort_keys=True)
