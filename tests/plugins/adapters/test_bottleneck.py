"""Bottleneck adapters: where they stand, what they compute, and the contract of adaptations."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from luthier.errors import RecipeError
from luthier.testing.adaptation import AdaptationContract
from luthier_adapters.bottleneck import Bottleneck
from luthier_adapters.bottleneck_layers import AdapterSlot, BottleneckAdapter
from luthier_adapters.bottleneck_parallel import Parallel
from luthier_adapters.bottleneck_pfeiffer import Pfeiffer
from luthier_adapters.module_finder import find_sublayers
from tests.plugins.tiny_architectures import GPT2, GROUPED_QUERIES, PLAIN

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", GROUPED_QUERIES),
    "qwen2": ("Qwen2", GROUPED_QUERIES),
    "qwen3": ("Qwen3", GROUPED_QUERIES),
    "mixtral": ("Mixtral", GROUPED_QUERIES | {"num_local_experts": 2}),
    "gemma2": ("Gemma2", GROUPED_QUERIES),
    "gemma3": ("Gemma3Text", GROUPED_QUERIES),
    "gpt2": ("GPT2", GPT2),
    "gptneox": ("GPTNeoX", PLAIN),
    "phi": ("Phi", PLAIN),
    "opt": ("OPT", PLAIN | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
}
ANSWERS = {"bottleneck": Bottleneck, "bottleneck_pfeiffer": Pfeiffer, "bottleneck_parallel": Parallel}


def build(family: str) -> Any:
    torch.manual_seed(0)
    architecture, settings = FAMILIES[family]
    config = getattr(transformers, f"{architecture}Config")(**settings)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def logits(network: Any) -> Tensor:
    return network(input_ids=torch.arange(3, 20)[None]).logits


def slots(network: nn.Module) -> list[tuple[str, AdapterSlot]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, AdapterSlot)]


@pytest.mark.parametrize(
    ("answer", "family"), [pair for pair in product(ANSWERS, FAMILIES) if pair != ("bottleneck_parallel", "opt")]
)
def test_before_training_the_logits_are_those_of_the_base(answer: str, family: str) -> None:
    base, adapted = build(family), ANSWERS[answer](attention=True)(build(family))
    assert torch.equal(logits(adapted), logits(base))
    assert len(slots(adapted)) == 6  # in each of three layers: attention, feed-forward


@pytest.mark.parametrize(
    ("answer", "family"), [pair for pair in product(ANSWERS, FAMILIES) if pair != ("bottleneck_parallel", "opt")]
)
def test_every_adapter_changes_the_logits_and_gets_a_gradient(answer: str, family: str) -> None:
    network = ANSWERS[answer](attention=True, reduction=2.0)(build(family))
    for _, slot in slots(network):
        nn.init.normal_(slot.adapters["default"].up.weight)
    logits(network).square().sum().backward()
    learning = {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert learning == {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert len(learning) == 6 * 4


def test_a_bottleneck_computes_what_the_paper_writes() -> None:
    adapter = BottleneckAdapter(2, 1, "relu", 0.0)
    with torch.no_grad():
        adapter.down.weight.copy_(torch.tensor([[1.0, 2.0]]))
        adapter.down.bias.copy_(torch.tensor([-1.0]))
        adapter.up.weight.copy_(torch.tensor([[3.0], [-1.0]]))
        adapter.up.bias.copy_(torch.tensor([0.5, 0.0]))
    hidden = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    # inside: relu(1·1 + 2·1 - 1) = 2 and relu(-1) = 0
    assert torch.equal(adapter(hidden), torch.tensor([[6.5, -2.0], [0.5, 0.0]]))
    inputs, output = hidden, torch.tensor([[10.0, 10.0], [1.0, 1.0]])
    for parallel, scale, expected in (
        (True, 4.0, [[36.0, 2.0], [3.0, 1.0]]),  # output + 4 · adapter(inputs)
        (False, 1.0, [[97.5, -19.0], [7.5, -1.0]]),  # 10 + 3·29 + 0.5, 10 - 29; 1 + 3·2 + 0.5, 1 - 2
    ):
        slot = AdapterSlot(parallel=parallel, scale=scale)
        slot.adapters["default"] = adapter
        assert torch.equal(slot(inputs, output), torch.tensor(expected))


@pytest.mark.parametrize(
    ("family", "attention", "feed_forward"),
    [
        ("llama", "self_attn", "mlp"),
        ("gemma2", "self_attn", "mlp"),
        ("gpt2", "attn", "mlp"),
        ("gptneox", "attention", "mlp"),
        ("opt", "self_attn", "fc2"),
    ],
)
def test_attention_and_feed_forward_of_each_layer_are_found(family: str, attention: str, feed_forward: str) -> None:
    by_role = find_sublayers(build(family))
    assert [sublayer.name for sublayer in by_role.attention] == [attention] * 3
    assert [sublayer.name for sublayer in by_role.feed_forward] == [feed_forward] * 3


def test_the_inner_width_is_the_networks_over_the_reduction() -> None:
    for answer, expected in ((Bottleneck(reduction=16.0), 2), (Parallel(), 16), (Pfeiffer(reduction=0.5), 64)):
        widths = {slot.adapters["default"].down.out_features for _, slot in slots(answer(build("llama")))}
        assert widths == {expected}
    assert len(slots(Bottleneck()(build("llama")))) == 6
    assert len(slots(Pfeiffer()(build("llama")))) == 3
    assert all(name.endswith("mlp.bottleneck") for name, _ in slots(Parallel()(build("llama"))))


def test_names_of_the_base_stay_as_they_are() -> None:
    names = dict(build("llama").named_parameters())
    assert names.keys() < dict(Bottleneck()(build("llama")).named_parameters()).keys()


def test_layers_compiled_before_take_the_adapters_up() -> None:
    network = build("llama")
    network.model.layers[0].compile(backend="aot_eager")
    network, plain = Bottleneck()(network), Bottleneck()(build("llama"))
    for each in (network, plain):
        torch.manual_seed(1)
        for weight in (weight for weight in each.parameters() if weight.requires_grad):
            nn.init.normal_(weight)
    torch.testing.assert_close(logits(network), logits(plain))


def test_without_a_sublayer_they_are_refused() -> None:
    with pytest.raises(RecipeError, match="no sublayer to stand at"):
        Bottleneck(attention=False, feed_forward=False)
    with pytest.raises(RecipeError, match="above 0"):
        Bottleneck(reduction=0.0)


def test_adapters_of_an_earlier_run_are_not_covered_by_others() -> None:
    with pytest.raises(RecipeError, match="has bottleneck adapters of an earlier run"):
        Pfeiffer()(Bottleneck()(build("llama")))


def test_a_parallel_adapter_needs_its_sublayer_in_one_module() -> None:
    with pytest.raises(RecipeError, match="the feed_forward of OPTForCausalLM is no module of its own"):
        Parallel()(build("opt"))


def test_an_unknown_adapter_is_not_switched_to() -> None:
    answer = Bottleneck()
    with pytest.raises(RecipeError, match="There are default"):
        answer.use(answer(build("llama")), "another")


class TestBottleneck(AdaptationContract):
    words = ("adaptation=bottleneck",)
    cannot = frozenset({"merge", "plain_peft"})


class TestPfeiffer(AdaptationContract):
    words = ("adaptation=bottleneck_pfeiffer", "adaptation.activation=tanh")
    cannot = frozenset({"merge", "plain_peft"})


class TestParallel(AdaptationContract):
    words = ("adaptation=bottleneck_parallel",)
    cannot = frozenset({"merge", "plain_peft"})
