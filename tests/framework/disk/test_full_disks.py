"""A disk that is full, over quota, read-only or broken is called that, with exit code 5 and what is free."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from luthier.disk.refusals import refusal, refused_by_the_disk, the_disk_may_refuse
from luthier.errors import DataError, ResourceError

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_form_of_a_refusal_is_recognised(number):
    words = os.strerror(number)
    plain = OSError(number, words, "/some/file")
    wrapped = RuntimeError("saving failed")
    wrapped.__cause__ = plain
    for error in (plain, wrapped, SafetensorError(f"Error while serializing: I/O error: {words} (os error {number})")):
        found = refused_by_the_disk(error)
        assert found is not None
        assert found.errno == number
        said = refusal("The artifact", Path("/tmp"), found, need=12_000_000, left="earlier ones are intact")
        assert said.code == 5
        assert "MB are free; earlier ones are intact" in said.message
        assert said.hint


@pytest.mark.parametrize(
    "error",
    [ValueError("No space left on device"), FileNotFoundError(errno.ENOENT, "no"), SafetensorError("bad header"),
     DataError("the row says: [Errno 28]")],
)  # fmt: skip
def test_what_is_about_something_else_stays_what_it_is(error):
    assert refused_by_the_disk(error) is None
    with pytest.raises(type(error)), the_disk_may_refuse("It", Path()):
        raise error


def test_a_file_that_grows_beyond_its_limit_is_exit_5_from_every_library(tmp_path):
    """A child, as a limit on the size of files cannot be taken back."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        made = 0
        for write in (
            lambda: save_file({"a": torch.zeros(100_000)}, tmp_path / "a.safetensors"),
            lambda: (tmp_path / "b").write_bytes(b"x" * 200_000),
            lambda: torch.save(torch.zeros(100_000), tmp_path / "c.pt"),
        ):
            try:
                with the_disk_may_refuse("It", tmp_path, need=400_000):
                    write()
            except ResourceError as error:
                made += "larger than the 0.1 MB" in error.message and "free" in error.message
            except Exception as error:
                print(type(error), error, file=sys.stderr)
        os._exit(made)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_a_full_stdout_is_exit_5_and_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "luthier", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert "free" in done.stderr
