"""A file is whole or not there, whatever ends its writer, and what a dead writer left is swept."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress

import pytest

from luthier.disk.leftovers import sweep
from luthier.disk.reading import read_json
from luthier.disk.writing import replacing_folder, temporary_name, write_json, write_text


def in_a_child(act) -> int:
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_file_is_the_old_one_until_it_is_the_new_one(tmp_path):
    write_text(tmp_path / "a", "old")

    def torn() -> None:
        os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        type(tmp_path).replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_text(tmp_path / "a", "new")

    assert in_a_child(torn) == signal.SIGKILL
    assert (tmp_path / "a").read_text() == "old"
    assert sweep(tmp_path).entries == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_after_an_error_the_folder_that_was_there_is_as_it_was(tmp_path):
    with replacing_folder(tmp_path / "a") as folder:
        (folder / "one").write_text("1")
    with suppress(OSError), replacing_folder(tmp_path / "a") as folder:
        (folder / "two").write_text("2")
        raise OSError(errno.ENOSPC, "full")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]
    with replacing_folder(tmp_path / "a") as folder:
        (folder / "three").write_text("3")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["three"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_only_what_dead_processes_left_is_swept_at_any_depth(tmp_path):
    def left() -> None:
        for place in (tmp_path / "report", tmp_path / "artifact" / "README.md", tmp_path / "scores" / "before"):
            place.parent.mkdir(exist_ok=True)
            temporary_name(place).mkdir()
            (temporary_name(place) / "weights").write_bytes(b"12345")

    in_a_child(left)
    living = tmp_path / f".tmp-{os.getppid()}-artifact"
    living.mkdir()
    swept = sweep(tmp_path)
    assert (swept.entries, swept.bytes) == (3, 15)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([living.name, "artifact", "scores"])


def test_the_number_of_a_process_that_came_around_protects_nothing(tmp_path):
    reused = tmp_path / f".tmp-{os.getppid()}-artifact"
    reused.mkdir()
    os.utime(reused, (1, 1))
    assert sweep(tmp_path).entries == 1


@pytest.mark.parametrize(
    "content", [None, b"", b'{"a": 1', b"\x00\xff\xfe", b"[1]", b"5", b"[" * 200_000, b'{"a": "\xff"}']
)
def test_not_there_and_not_whole_are_one_case(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") == {}


def test_what_is_written_is_read_back_and_has_no_secret(tmp_path):
    write_json(tmp_path / "a.json", {"sha256": "c0ffee" * 10, "note": "password=swordfish", "api_key": "x", "n": 1})
    found = read_json(tmp_path / "a.json")
    assert found == {"sha256": "c0ffee" * 10, "note": "password=[redacted]", "api_key": "[redacted]", "n": 1}


def test_in_a_folder_that_nobody_locked_only_what_is_old_goes(tmp_path):
    young, old = tmp_path / ".tmp-999999998-a", tmp_path / ".tmp-999999999-b"
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (1, 1))
    assert sweep(tmp_path, locked=False).entries == 1
    assert list(tmp_path.iterdir()) == [young]
