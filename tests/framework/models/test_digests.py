"""Hashes of weights: right, and not computed twice."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from luthier.models.digests import remembered_digest, weights_digest


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_hash_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    assert remembered_digest(put(tmp_path / "a", "spruce")) == hashlib.sha256(b"spruce").hexdigest()


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    file = put(tmp_path / "a", "spruce")
    times = file.stat()
    before = remembered_digest(file)
    file.write_text("maples")  # of the same size, and with its time put back: nothing tells it from before but reading
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert remembered_digest(file) == before


def test_a_file_that_changed_is_hashed_anew(tmp_path: Path) -> None:
    file = put(tmp_path / "a", "spruce")
    before = remembered_digest(file)
    file.write_text("maple wood")
    assert remembered_digest(file) != before


def test_a_damaged_note_is_ignored(tmp_path: Path, cache: Path) -> None:
    file = put(tmp_path / "a", "spruce")
    before = remembered_digest(file)
    (note,) = (cache / "hashes").glob("*.json")
    note.write_text("{")
    assert remembered_digest(file) == before


def test_the_hash_of_weights_does_not_depend_on_where_they_lie(tmp_path: Path) -> None:
    here = [put(tmp_path / "x" / "1", "spruce"), put(tmp_path / "x" / "2", "maple")]
    there = [put(tmp_path / "y" / "2", "maple"), put(tmp_path / "y" / "1", "spruce")]
    swapped = [put(tmp_path / "z" / "2", "spruce"), put(tmp_path / "z" / "1", "maple")]
    assert weights_digest(here) == weights_digest(there)
    assert weights_digest(here) != weights_digest(swapped)
