"""A network whose weights are sharded (FSDP2) gives the same loss and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import transformers
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from luthier.models.lm_head import LMHead, last_hidden_state


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def build(tied: bool) -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=67, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        tie_word_embeddings=tied,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def step(network: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    ids = torch.randint(3, 67, (2, 9), generator=torch.Generator().manual_seed(1))
    hidden = last_hidden_state(network, {"input_ids": ids, "use_cache": False})
    head = LMHead(network.lm_head)
    total, _ = head.cross_entropy(hidden.flatten(0, 1), ids.flatten(), torch.ones(ids.numel()))
    total.backward()
    gradients = {name: weight.grad for name, weight in network.named_parameters()}
    return total, {name: getattr(grad, "full_tensor", lambda grad=grad: grad)() for name, grad in gradients.items()}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("head_too", [True, False])
def test_sharded_weights_give_the_same_loss_and_gradients(group: None, tied: bool, head_too: bool) -> None:
    expected, wanted = step(build(tied))
    network, mesh = build(tied), init_device_mesh("cpu", (1,))
    for layer in network.model.layers:
        fully_shard(layer, mesh=mesh)
    if head_too and not tied:
        fully_shard(network.lm_head, mesh=mesh)
    fully_shard(network, mesh=mesh)
    got, gradients = step(network)
    torch.testing.assert_close(got, expected)
    assert gradients.keys() == wanted.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted[name], msg=lambda m, n=name: f"{n}: {m}")
