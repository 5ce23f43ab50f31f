"""One of two ranks with a network in shards: `python rank_shards.py FOLDER` writes what it found."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from luthier.errors import RecipeError
from luthier.training import shards
from luthier.training.checkpoint_io import SealedCheckpoints
from luthier.training.company import in_company
from luthier.training.frozen import fingerprint
from luthier.training.optimizer_state import NAMES, names, take_over
from luthier.training.spikes import _roll_back
from luthier.training.whole_network import make_whole


class Tied(nn.Module):
    """An embedding that is the head, too, and a layer with fewer rows than there are ranks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.down, self.up = nn.Embedding(7, 4), nn.Linear(4, 1), nn.Linear(1, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        hidden: Tensor = self.words(input_ids)
        logits: Tensor = self.head(hidden + self.up(self.down(hidden)))
        return logits


class Trainer:
    """What a roll-back needs of one."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers = [optimizer]


IDS = torch.tensor([[1, 2, 3]])


def sharded() -> nn.Module:
    network = Tied()
    mesh = init_device_mesh("cpu", (2,))
    for layer in (network.down, network.up):
        fully_shard(layer, mesh=mesh)
    return fully_shard(network, mesh=mesh)


def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    network(IDS).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def digest(state: dict[str, Tensor]) -> dict[str, str]:
    return {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in state.items()}


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, group = dist.get_rank(), dist.group.WORLD
    found: dict[str, Any] = {}
    plain, network = Tied(), sharded()
    found["plain"] = digest(plain.state_dict())

    state = shards.gathered(network.state_dict(), keep=rank == 0)
    found["gathered_bytes"] = sum(value.nbytes for value in state.values())
    found["tied_once"] = state["words.weight"] is state["head.weight"]
    found["gathered"] = digest(state)
    found["print"] = fingerprint(dict(network.named_parameters()))
    found["plain_print"] = fingerprint(dict(plain.named_parameters()))

    for prefix, one in (("", network), ("plain_", plain)):
        one(IDS).square().mean().backward()
        gradients = [weight.grad for weight in one.parameters()]
        found[f"{prefix}norm"] = float(shards.total_norm(gradients))
        found[f"{prefix}magnitudes"] = shards.magnitudes(gradients).tolist()
        found[f"{prefix}zero"] = [shards.is_zero(gradient) for gradient in gradients]
        one.zero_grad()

    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    step(network, optimizer)
    saved = {
        "state_dict": network.state_dict(), "optimizer_states": [optimizer.state_dict()],
        NAMES: [names(optimizer, network)],
    }  # fmt: skip
    saved = copy.deepcopy(shards.gathered(saved, keep=True))  # what is not in shards is the optimizer's own
    step(network, optimizer)
    found["first"] = digest(shards.gathered(network.state_dict(), keep=True))
    network.load_state_dict(shards.spread(saved["state_dict"], network.state_dict()))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, fused=True)
    take_over(optimizer, saved["optimizer_states"][0]["state"], saved[NAMES][0], names(optimizer, network))
    step(network, optimizer)
    found["again"] = digest(shards.gathered(network.state_dict(), keep=True))

    saved["state_dict"] = Tied().state_dict()
    if rank == 0:
        SealedCheckpoints().save_checkpoint(saved, folder / "checkpoints" / "step-00000001")
    dist.barrier()
    _roll_back(Trainer(optimizer), network, folder / "checkpoints" / "step-00000001")
    found["rolled_back"] = digest(shards.gathered(network.state_dict(), keep=True))

    calls: list[int] = []

    def work() -> int:
        with torch.no_grad():
            for number in range(3 if rank == 0 else 1):
                network(IDS)
                calls.append(number)
        return len(calls)

    def fails() -> int:
        if rank == 1:
            raise RecipeError("This rank cannot.")
        with torch.no_grad():
            return sum(len(network(IDS)) for _ in range(2))

    found["answers"] = in_company(network, group, work)
    found["calls"] = len(calls)
    other = in_company(network, group, fails)
    found["after_error" if rank == 0 else "error"] = other if rank == 0 else other.message

    make_whole(network, keep=rank == 0)
    found["whole_bytes"] = sum(weight.nbytes for weight in network.parameters())
    found["whole"] = digest(network.state_dict())
    found["kind"] = type(network).__name__
    if rank == 0:
        found["forward_alone"] = network(IDS).flatten().tolist()
        found["forward_plain"] = plain(IDS).flatten().tolist()
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
