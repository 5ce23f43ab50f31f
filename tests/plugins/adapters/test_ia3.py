"""(IA)³: which matrices it rescales, and the contract of adaptations."""

from __future__ import annotations

import pytest
import torch

from luthier.errors import RecipeError
from luthier.testing.adaptation import AdaptationContract
from luthier_adapters.ia3 import Ia3
from tests.plugins.adapters.test_bottleneck import build, logits


@pytest.mark.parametrize(
    ("family", "keys_values", "feed_forward"),
    [
        ("llama", {"self_attn.k_proj", "self_attn.v_proj"}, {"mlp.down_proj"}),
        ("qwen3", {"self_attn.k_proj", "self_attn.v_proj"}, {"mlp.down_proj"}),
        ("gemma3", {"self_attn.k_proj", "self_attn.v_proj"}, {"mlp.down_proj"}),
        ("gpt2", {"attn.c_attn"}, {"mlp.c_proj"}),
        ("gptneox", {"attention.query_key_value"}, {"mlp.dense_4h_to_h"}),
        ("opt", {"self_attn.k_proj", "self_attn.v_proj"}, {"fc2"}),
    ],
)
def test_it_finds_what_to_rescale(family: str, keys_values: set[str], feed_forward: set[str]) -> None:
    config = Ia3().peft_config(build(family))
    assert config.feedforward_modules == feed_forward
    assert config.target_modules == keys_values | feed_forward


@pytest.mark.parametrize("family", ["llama", "gpt2", "gptneox"])
def test_it_starts_as_the_base_and_merges_into_it(family: str) -> None:
    adaptation = Ia3()
    network = adaptation(build(family)).eval()
    torch.testing.assert_close(logits(network), logits(build(family)))
    factors = [weight for weight in network.parameters() if weight.requires_grad]
    assert len(factors) >= 6
    with torch.no_grad():
        for weight in factors:
            weight.mul_(torch.linspace(0.5, 1.5, weight.numel()).view_as(weight))
    said = logits(network)
    assert not torch.allclose(said, logits(build(family)), atol=1e-3)
    torch.testing.assert_close(logits(adaptation.merge(network)), said, atol=1e-4, rtol=1e-4)


def test_experts_are_left_to_the_user() -> None:
    with pytest.raises(RecipeError, match=r"adaptation.feed_forward=\[…\]"):
        Ia3()(build("mixtral"))


class TestIa3(AdaptationContract):
    words = ("adaptation=ia3",)
