"""Rows 11 to 14 of the fault catalogue: whatever becomes of the newest checkpoint, the one before it is taken.

The checkpoint is that of a training; each mutation is one of a file that it holds, drawn by a seed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from luthier.errors import ResourceError
from luthier.training.checkpoint_files import checkpoints, newest
from tests.command import luthier

MUTATIONS = 360
"""In all; each kind of them has its share in each file."""


def flipped(data: bytearray, at: int, draw: random.Random) -> None:
    data[at] ^= 1 << draw.randrange(8)


def cut(data: bytearray, at: int, draw: random.Random) -> None:
    del data[at:]


def zeroed(data: bytearray, at: int, draw: random.Random) -> None:
    """As a disk gives a block that never came to it."""
    end = min(len(data), at + 1 + draw.randrange(4096))
    data[at:end] = bytes(end - at) if any(data[at:end]) else b"\x01" * (end - at)


def lost(data: bytearray, at: int, draw: random.Random) -> None:
    del data[at : at + 1 + draw.randrange(64)]


def doubled(data: bytearray, at: int, draw: random.Random) -> None:
    data[at:at] = data[at : at + 1 + draw.randrange(64)]


def longer(data: bytearray, at: int, draw: random.Random) -> None:
    data.extend(draw.randbytes(1 + at % 64))


KINDS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (flipped, cut, zeroed, lost, doubled, longer)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """The checkpoints of a training of two steps, one after each."""
    folder = tmp_path_factory.mktemp("trained") / "r"
    words = ("debug=tiny", "stages=[fit]", "trainer.max_steps=2", "trainer.checkpoint_every=1", "trainer.keep=2")
    done = luthier(*words, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    assert len(checkpoints(folder / "checkpoints")) == 2
    return folder / "checkpoints"


def mutations(files: list[Path]) -> Iterator[tuple[Path, str, bytes]]:
    """Each file of a checkpoint damaged in each way, at places that a seed draws."""
    draw = random.Random(14)
    for number in range(MUTATIONS):
        file, kind = files[number % len(files)], KINDS[number // len(files) % len(KINDS)]
        data = bytearray(file.read_bytes())
        kind(data, draw.randrange(len(data)), draw)
        yield file, kind.__name__, bytes(data)


def test_rows_11_to_13_each_of_360_mutations_is_noticed_told_and_passed_over(saved, tmp_path):
    folder = Path(shutil.copytree(saved, tmp_path / "checkpoints"))
    last, before = checkpoints(folder)
    for file, kind, damaged in mutations(sorted(last.iterdir())):
        whole, told = file.read_bytes(), []
        assert damaged != whole
        file.write_bytes(damaged)
        assert newest(folder, told.append) == before, f"{file.name}, {kind}"
        assert last.name in told[0]
        assert file.name in told[0]
        file.write_bytes(whole)
    assert newest(folder) == last


def test_row_12_a_run_goes_on_from_the_one_before_and_says_so(saved, tmp_path):
    run = Path(shutil.copytree(saved.parent, tmp_path / "r"))
    last, before = checkpoints(run / "checkpoints")
    data = bytearray((last / "state.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (last / "state.safetensors").write_bytes(bytes(data))
    words = ("debug=tiny", "stages=[fit]", "trainer.max_steps=2", "trainer.checkpoint_every=1", "trainer.keep=2")
    done = luthier(*words, "resume=auto", f"hydra.run.dir={run}")
    assert done.returncode == 0, done.stderr
    assert f"warning: The checkpoint {last.name} is not intact and not used" in done.stderr
    assert (last / "state.safetensors").read_bytes() == (saved / last.name / "state.safetensors").read_bytes()
    assert before.name in "".join(path.name for path in checkpoints(run / "checkpoints"))


def test_row_14_where_none_is_intact_nothing_begins_anew(saved, tmp_path):
    folder = Path(shutil.copytree(saved, tmp_path / "checkpoints"))
    for path in checkpoints(folder):
        (path / "state.json").write_bytes(b"")
    with pytest.raises(ResourceError, match="None of the 2 checkpoints"):
        newest(folder)
