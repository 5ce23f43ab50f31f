"""The tiny twin of a recipe on ranks of this machine: processes that are forked from one that has imported all."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from pathlib import Path

from safetensors.torch import save_file

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["luthier.testing.twin", "peft", "transformers.models.llama.modeling_llama"])


def two_ranks(folder: Path, *words: str, plugins: tuple[str, ...] = (), world: int = 2) -> list[Path]:
    """Train together on `world` ranks; the file of each that has a whole network, with the weights that moved."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True)
    processes = [
        CONTEXT.Process(target=_rank, args=(rank, world, port, folder, words, plugins)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(180)
    finally:
        for process in processes:
            process.kill()
    said = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("rank-*.txt")))
    assert [process.exitcode for process in processes] == [0] * world, said
    return [file for rank in range(world) if (file := _weights(folder, rank)).exists()]


def _rank(rank: int, world: int, port: int, folder: Path, words: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    place = {"LOCAL_RANK": rank, "NODE_RANK": 0, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    with open(folder / f"rank-{rank}.txt", "w", encoding="utf-8") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
        import torch

        from luthier.testing.twin import twin

        torch.set_num_threads(1)
        run = twin(
            folder, "trainer=ddp", *words, "trainer.accelerator=cpu", f"trainer.devices={world}", plugins=plugins
        )
        run.carry_out()
        if not run.method.is_loaded:
            return
        moved = {name: weight for name, weight in run.method.network.named_parameters() if weight.requires_grad}
        save_file({name: weight.detach().clone() for name, weight in moved.items()}, _weights(folder, rank))


def _weights(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.safetensors"
