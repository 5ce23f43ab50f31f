"""A source is read once, onto the disk: memory does not grow with it, and nothing is read again."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from datetime import date, datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from luthier.contracts.batch import Row, TokenSequence
from luthier.contracts.examples import Example
from luthier.data.content_hashes import hash_of_examples, hash_of_reading
from luthier.data.module import Data
from luthier.data.prompts import ChatPrompt
from luthier.data.reading import Reading
from luthier.data.sources.files import Files
from luthier.data.sources.mixture import Mixture
from luthier.data.splits import GivenSplits, HashSplits
from luthier.errors import DataError
from tests.framework.data_tokens.tiny_tokens import Examples, byte_level, said


class Endless:
    """`count` texts of 4,000 characters, made as they are asked for."""

    warnings: tuple[str, ...] = ()
    counts: dict[str, int] = {}  # noqa: RUF012

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Example]:
        for number in range(self.count):
            yield {"text": f"{number} " + "x" * 4000, "split": "train", "where": f"f:{number}"}

    def fingerprint(self) -> dict[str, int]:
        return {"count": self.count}

    def quarantine_into(self, folder: object) -> None:
        pass


def short(example: Example, tokenizer: object) -> Row:
    return Row(
        (TokenSequence(np.array([1, int(example["text"].split()[0]) % 300], np.int32), np.array([0, 1], np.float32)),)
    )


def peak(count: int, tokenizer: object) -> int:
    tracemalloc.start()
    data = Data(Endless(count), ChatPrompt(), short, tokenizer, length=64)
    data.setup("fit")
    assert data.report()["rows"] == count
    assert len(data.examples("train")) == count
    assert data.fingerprint()["splits"]["train"] == count
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_text(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    tokenizer = byte_level()
    peak(600, tokenizer)
    small, large = peak(600, tokenizer), peak(2400, tokenizer)
    grown = large - small
    assert grown < 1_000_000, f"{grown} bytes more for 7,200,000 characters more"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(f'{{"text": "Text {number}.", "id": {number}}}\n' for number in range(40)))
    return path


def source(file: Path, **asked) -> Files:
    return Files(file=str(file), splits=HashSplits(test=0.25), **asked)


def test_examples_come_back_as_they_were_read(file):
    made = source(file)
    reading, expected = Reading.of(made), list(made)
    assert {split: list(each) for split, each in reading.examples.items()} == {
        split: [example for example in expected if example["split"] == split] for split in ("test", "train")
    }
    train = reading.examples["train"]
    assert train[-1] == train[len(train) - 1] == list(train)[-1]
    assert train[2:4] == [train[2], train[3]]
    assert reading.counts == made.counts
    assert reading.fingerprint["counts"] == dict(made.counts)
    assert reading.digests["train"] == hash_of_examples(train)
    with pytest.raises(IndexError):
        train[len(train)]


def test_the_second_reading_of_the_same_files_reads_none(file, monkeypatch):
    first = Reading.of(source(file))
    monkeypatch.setattr(Files, "records", lambda self: pytest.fail("it was read again"))
    again = Reading.of(source(file))
    assert list(again.examples["train"]) == list(first.examples["train"])
    assert again.counts == first.counts


@pytest.mark.parametrize(
    "change", ["a setting", "a nested setting", "a longer file", "other rows of equal size and time"]
)
def test_whatever_a_reading_depends_on_makes_a_new_one(file, change):
    before, times = hash_of_reading(source(file)), file.stat()
    made = source(file)
    if change == "a setting":
        made = source(file, limit=10)
    elif change == "a nested setting":
        made = Files(file=str(file), splits=HashSplits(test=0.5))
    elif change == "a longer file":
        file.write_text(file.read_text() + '{"text": "More."}\n')
    else:
        file.write_text(file.read_text().replace("Text 7.", "Tone 7."))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert hash_of_reading(source(file)) == before or "file" in change or "rows" in change
    assert hash_of_reading(made) != before


def test_a_file_that_is_only_touched_is_not_read_again(file):
    before = hash_of_reading(source(file))
    os.utime(file, ns=(1, 1))
    assert hash_of_reading(source(file)) == before


def test_the_folder_of_a_run_does_not_count_and_a_quarantine_is_written_each_time(file, tmp_path):
    made = source(file)
    made.quarantine_into(tmp_path / "run")
    assert hash_of_reading(made) == hash_of_reading(source(file))
    assert hash_of_reading(source(file, on_bad_row="quarantine")) is None


def test_a_mixture_is_kept_if_all_of_its_sources_are(file):
    assert hash_of_reading(Mixture(sources={"one": source(file)})) is not None
    assert hash_of_reading(Mixture(sources={"one": source(file), "two": Examples([])})) is None


def test_a_source_that_cannot_tell_what_it_reads_is_read_each_time():
    given = Examples([said("Hello", "well")])
    assert len(Reading.of(given).examples["train"]) == 1
    given.examples.append({**said("Hello", "again"), "split": "train"})
    assert len(Reading.of(given).examples["train"]) == 2


def test_dates_come_back_as_dates():
    when = {"day": date(1715, 4, 1), "time": datetime(2024, 2, 3, 4, 5, 6, 7, tzinfo=timezone.utc)}
    (example,) = Reading.of(Examples([said("Hello", "well", **when)])).examples["train"]
    assert (example["day"], example["time"]) == (when["day"], when["time"])
    assert type(example["day"]) is date


@pytest.mark.parametrize("value", [b"bytes", object(), (1, 2), {1: 2}, float("nan")])
def test_what_the_disk_cannot_hold_as_it_is_stays_in_memory_and_that_is_said(value):
    reading = Reading.of(Examples([said("Hello", "well", odd=value)]))
    assert reading.examples["train"][0]["odd"] is value
    assert "kept in memory" in reading.warnings[-1]


def test_a_split_of_an_unknown_name_is_refused():
    with pytest.raises(DataError, match="'exam'"):
        Reading.of(Examples([said("Hello", "well", split="exam")]))


def test_a_reading_that_fails_leaves_nothing_in_the_cache(file, session_cache):
    before = set((session_cache / "examples").iterdir()) if (session_cache / "examples").is_dir() else set()
    broken = Files(file=str(file), splits=GivenSplits())
    file.write_text(file.read_text() + "{torn\n")
    with pytest.raises(DataError):
        Reading.of(broken)
    left = {path for path in (session_cache / "examples").iterdir() if not path.name.startswith(".lock")}
    assert left <= before
