"""One of two ranks that split layers: `python rank_layers.py FOLDER ARCHITECTURE …` writes what it found of each."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from luthier.models.random import Random
from luthier.models.twin import stir
from luthier.training import shards
from luthier.training.split_layers import split
from luthier.training.whole_network import make_whole

SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXTS = torch.arange(1, 13).view(2, 1, 6)


def loss_of(network: nn.Module) -> Tensor:
    """That of the last of two micro-batches, whose gradients add up."""
    for ids in TEXTS:
        logits = network(input_ids=ids, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
        loss.backward()
    return loss.detach()


def found_of(architecture: str) -> dict[str, object]:
    plain = Random(architecture=architecture, config={**SMALL, "num_key_value_heads": 4}).network().train()
    torch.manual_seed(0)
    stir(weight.detach() for weight in plain.parameters())
    network = split(copy.deepcopy(plain), init_device_mesh("cpu", (2,)))
    apart = float((loss_of(network) - loss_of(plain)).abs())
    gradients = {
        name: float((shards.whole(mine.grad) - theirs.grad).abs().max() / theirs.grad.abs().max())
        for (name, mine), theirs in zip(network.named_parameters(), plain.parameters(), strict=True)
        if theirs.grad is not None and theirs.grad.abs().max() > 1e-6
    }
    kept = sum(shards.own(weight).numel() for weight in network.parameters())
    spread = all(shards.own(weight.grad).shape == shards.own(weight).shape for weight in network.parameters())
    make_whole(network, keep=True)
    whole = all(torch.equal(a, b) for a, b in zip(plain.parameters(), network.parameters(), strict=True))
    with torch.no_grad():
        again = torch.equal(network(input_ids=TEXTS[0]).logits, plain(input_ids=TEXTS[0]).logits)
    share = kept / sum(weight.numel() for weight in plain.parameters())
    return {
        "apart": apart, "gradients": gradients, "share": share, "as_weights": spread, "whole": whole, "again": again
    }  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    found = {architecture: found_of(architecture) for architecture in sys.argv[2:]}
    (Path(sys.argv[1]) / f"{dist.get_rank()}.json").write_text(json.dumps(found), encoding="utf-8")
    dist.destroy_process_group()
