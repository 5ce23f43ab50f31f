"""A file is known by its content: its hash is right whatever changed it, and not computed twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.fetch import remembered
from luthier.fetch.notes import read_note, write_note
from luthier.fetch.remembered import remembered_digest

CHANGES = ("rewritten", "rewritten and its time put back", "replaced", "replaced and its time put back", "appended to")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"spruce")
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed, by reading them."""
    files: list[Path] = []

    def counting(path: Path) -> str:
        files.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(remembered, "sha256_of_file", counting)
    return files


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is an hour ahead, so that files are old enough to be remembered."""
    now = time.time_ns
    monkeypatch.setattr(remembered.time, "time_ns", lambda: now() + 3600 * 10**9)


def change(file: Path, kind: str, content: bytes) -> None:
    times = file.stat()
    time.sleep(0.02)  # more than a tick of the clock of file systems
    if kind.startswith("replaced"):
        other = file.with_suffix(".new")
        other.write_bytes(content)
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        shutil.move(other, file)
    elif kind == "appended to":
        with file.open("ab") as open_file:
            open_file.write(content)
    else:
        file.write_bytes(content)
    if "put back" in kind:
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.binary(min_size=6, max_size=6)), max_size=4))
def test_the_hash_is_that_of_the_content_whatever_changed_it(file: Path, later: None, changes: Any) -> None:
    file.write_bytes(b"spruce")
    time.sleep(0.02)
    assert remembered_digest(file) == hashlib.sha256(b"spruce").hexdigest()
    for kind, content in changes:
        change(file, kind, content)
        assert remembered_digest(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_that_did_not_change_is_not_read_again(file: Path, later: None, hashed: list[Path]) -> None:
    assert remembered_digest(file) == remembered_digest(file) == hashlib.sha256(b"spruce").hexdigest()
    assert len(hashed) == 1


def test_a_file_of_this_moment_is_read_again_as_the_next_change_may_have_the_same_time(
    file: Path, hashed: list[Path]
) -> None:
    assert remembered_digest(file) == remembered_digest(file)
    assert len(hashed) == 2


def test_a_damaged_note_is_ignored(file: Path, later: None, cache: Path) -> None:
    before = remembered_digest(file)
    (note,) = (cache / "hashes").glob("*.json")
    note.write_text("{")
    assert remembered_digest(file) == before


def test_a_note_that_the_disk_does_not_take_is_not_kept_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        write_note(tmp_path / "note.json", {"sha256": "a" * 64})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    assert read_note(tmp_path / "note.json") == {}
