"""Tensors in shards over two ranks, and a network that two ranks call unequally often: one launch for all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("rank_shards.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two ranks has found."""
    folder = tmp_path_factory.mktemp("shards")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_a_state_is_gathered_whole_to_the_rank_that_keeps_it(found):
    assert found[0]["gathered"] == found[0]["plain"]
    assert found[0]["tied_once"], "tied weights are one tensor, as in the state of a plain network"
    assert found[1]["gathered_bytes"] == 0


def test_norms_are_those_of_the_whole_gradients_on_every_rank(found):
    for one in found:
        assert one["norm"] == pytest.approx(one["plain_norm"], rel=1e-6)
        assert one["magnitudes"] == pytest.approx(one["plain_magnitudes"], rel=1e-6)
        assert one["zero"] == one["plain_zero"]


def test_the_print_of_frozen_weights_does_not_depend_on_shards(found):
    assert {one["print"] for one in found} == {found[0]["plain_print"]}


def test_weights_and_optimizer_go_back_into_shards_and_train_on_as_before(found):
    assert found[0]["again"] == found[0]["first"]
    assert found[0]["rolled_back"] == found[0]["plain"]


def test_ranks_that_call_a_network_unequally_often_keep_each_other_company(found):
    assert [one["calls"] for one in found] == [3, 1]
    assert [one["answers"] for one in found] == [3, 1]
    assert found[1]["error"] == "This rank cannot."
    assert found[0]["after_error"] == 2


def test_a_network_is_plain_again_on_the_rank_that_keeps_it(found):
    assert found[0]["whole"] == found[0]["plain"]
    assert found[0]["kind"] == "Tied"
    assert found[0]["forward_alone"] == pytest.approx(found[0]["forward_plain"], abs=1e-6)
    assert found[1]["whole_bytes"] == 0
