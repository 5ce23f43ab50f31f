"""Checkpoints on disk: every kill, every flipped bit, every full disk leaves one to go on from."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import signal
from pathlib import Path

import pytest

from luthier.disk.leftovers import sweep
from luthier.errors import ResourceError
from luthier.training import checkpoint_files
from luthier.training.checkpoint_files import MANIFEST, Invalid, newest, prune, step_of, verify, write
from tests.faults.killed_at_each_line import FILES, fill


def steps(folder: Path) -> list[int | None]:
    return [step_of(path) for path in checkpoint_files.checkpoints(folder)]


def test_an_orphan_of_a_killed_process_is_swept_and_its_bytes_are_reported(tmp_path):
    child = os.fork()
    if child == 0:
        write(tmp_path, 1, lambda folder: (fill(folder), os.kill(os.getpid(), signal.SIGKILL)))
    os.waitpid(child, 0)
    (tmp_path / f".tmp-{os.getppid()}-step-00000009").mkdir()
    swept = sweep(tmp_path)
    assert swept.entries == 1
    assert swept.bytes == sum(map(len, FILES.values()))
    assert [path.name for path in tmp_path.iterdir()] == [f".tmp-{os.getppid()}-step-00000009"], (
        "a living process keeps its own"
    )


def mutations():
    for name in (*FILES, MANIFEST):
        for share in (0, 0.01, 0.5, 0.99):
            yield f"{name} cut at {share}", name, lambda data, share=share: data[: int(len(data) * share)]
        for place in (0, 0.3, 0.7, 0.999):
            for bit in (0, 6):
                yield (
                    f"{name} bit {bit} at {place}",
                    name,
                    lambda data, place=place, bit=bit: flipped(data, int(len(data) * place), bit),
                )
        yield f"{name} missing", name, lambda data: None
        yield f"{name} longer", name, lambda data: data + b"\n"


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


@pytest.mark.parametrize(("name", "mutate"), [case[1:] for case in mutations()], ids=[case[0] for case in mutations()])
def test_whatever_happens_to_a_file_of_the_newest_is_found_and_the_one_before_is_taken(tmp_path, caplog, name, mutate):
    write(tmp_path, 1, fill)
    damaged = write(tmp_path, 2, fill) / name
    content = mutate(damaged.read_bytes())
    damaged.unlink() if content is None else damaged.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert step_of(newest(tmp_path)) == 1
    assert name in caplog.text


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda manifest: {**manifest, "step": 7}, "changed"),
        (lambda manifest: {**manifest, "format": 99}, "format 99"),
        (lambda manifest: {**manifest, "files": {}}, "changed"),
        (lambda manifest: [manifest], "cannot be read"),
    ],
)
def test_an_edited_manifest_is_no_manifest(tmp_path, edit, reason):
    path = write(tmp_path, 1, fill)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps(edit(manifest), indent=1, sort_keys=True) + "\n")
    with pytest.raises(Invalid, match=reason):
        verify(path)


def test_a_folder_renamed_to_another_step_is_refused(tmp_path):
    write(tmp_path, 1, fill).rename(tmp_path / "step-00000009")
    with pytest.raises(Invalid, match="says step 1"):
        verify(tmp_path / "step-00000009")


def test_when_nothing_is_intact_the_run_does_not_silently_begin_anew(tmp_path):
    for step in (1, 2):
        (write(tmp_path, step, fill) / "state.json").unlink()
    with pytest.raises(ResourceError) as caught:
        newest(tmp_path)
    assert caught.value.code == 5
    assert "resume=never" in caught.value.hint


def test_where_there_was_never_a_checkpoint_there_is_none(tmp_path):
    assert newest(tmp_path / "nothing") is None


def test_the_newest_are_kept_and_a_damaged_one_does_not_count(tmp_path):
    for step in range(1, 6):
        write(tmp_path, step, fill)
    (tmp_path / "step-00000005" / "state.json").write_bytes(b"")
    prune(tmp_path, 2)
    assert steps(tmp_path) == [5, 4, 3]
    assert step_of(newest(tmp_path)) == 4


def test_keeping_zero_keeps_all(tmp_path):
    for step in range(1, 5):
        write(tmp_path, step, fill)
    assert prune(tmp_path, 0) == []
    assert steps(tmp_path) == [4, 3, 2, 1]


def test_an_intact_checkpoint_is_never_replaced_and_a_damaged_one_is(tmp_path):
    path = write(tmp_path, 1, fill)
    before = (path / MANIFEST).stat().st_ino
    write(tmp_path, 1, lambda folder: (folder / "other").write_bytes(b"!"))
    assert (path / MANIFEST).stat().st_ino == before
    (path / "state.json").write_bytes(b"")
    write(tmp_path, 1, fill)
    verify(path)


def limited(folder: Path, size: int) -> tuple[int, str]:
    """Save in a child that may write files of at most `size` bytes; gives its exit code and what it said."""
    read, said = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            write(folder, 2, fill, pauses=())
            os._exit(0)
        except ResourceError as error:
            os.write(said, str(error).encode())
            os._exit(error.code)
    os.close(said)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(read) as stream:
        return os.waitstatus_to_exitcode(status), stream.read()


def test_a_disk_that_fills_up_ends_with_5_leaves_the_last_checkpoint_and_no_partial_one(tmp_path):
    write(tmp_path, 1, fill)
    for size in range(0, 2048, 128):
        code, said = limited(tmp_path, size)
        assert code == 5, size
        assert "free" in said
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    verify(tmp_path / "step-00000001")


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_written(tmp_path):
    with pytest.raises(ResourceError, match=r"needs 1000000000000\.0 MB") as caught:
        write(tmp_path, 1, lambda folder: pytest.fail("nothing may be written"), size=10**18)
    assert caught.value.code == 5
    assert caught.value.resumable
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_passes_is_tried_again_and_one_that_stays_is_told(tmp_path, caplog):
    left = [errno.EIO, errno.EROFS]

    def hiccups(folder: Path) -> None:
        if left:
            code = left.pop()
            raise OSError(code, os.strerror(code), str(folder))
        fill(folder)

    verify(write(tmp_path, 1, hiccups, pauses=(0.0, 0.0)))
    assert caplog.text.count("trying again") == 2
    left[:] = [errno.EIO] * 9
    with pytest.raises(ResourceError, match="cannot be written"):
        write(tmp_path, 2, hiccups, pauses=(0.0, 0.0))
    assert len(left) == 6
    assert steps(tmp_path) == [1]
