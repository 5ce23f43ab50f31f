"""Architectures whose layers two ranks split: gradients of two micro-batches are those of the whole network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("rank_layers.py")
FEW = ("qwen3", "phi3", "gemma2")  # norms of heads; fused projections; tied weights and soft caps
MORE = (
    "llama", "qwen2", "mistral", "gemma3_text", "olmo2", "olmo3", "glm", "glm4", "gpt_neox", "smollm3", "starcoder2",
    "phi", "cohere", "cohere2", "ernie4_5", "exaone4", "granite",
)  # fmt: skip


@pytest.mark.parametrize(
    "architectures", [pytest.param(FEW, id="few"), pytest.param(MORE, id="more", marks=pytest.mark.exhaustive)]
)
def test_losses_and_gradients_of_split_layers_are_those_of_whole_ones(architectures, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(tmp_path), *architectures], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found.keys() == set(architectures)
        for name, one in found.items():
            assert one["apart"] < 1e-5, name
            assert max(one["gradients"].values()) < 1e-5, name
            assert one["share"] < 0.7, name
            assert (one["as_weights"], one["whole"], one["again"]) == (True, True, True), name
