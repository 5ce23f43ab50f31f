"""Hidden states and head together give the logits of the network, whatever the architecture does with them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
from torch import nn

from luthier.errors import NumericsError, RecipeError
from luthier.models.lm_head import find_lm_head, last_hidden_state

SIZES: dict[str, Any] = {
    "vocab_size": 67, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
GPT2 = {"vocab_size": 67, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
NETWORKS: dict[str, dict[str, Any]] = {
    "Llama": SIZES | {"tie_word_embeddings": True},
    "Qwen2": SIZES,
    "Qwen3": SIZES,
    "Gemma2": SIZES | {"final_logit_softcapping": 0.5},
    "GPT2": GPT2,
    "GPTNeoX": {k: v for k, v in SIZES.items() if k not in ("num_key_value_heads", "head_dim")},
    "Cohere": SIZES | {"logit_scale": 0.0625},
    "Granite": SIZES | {"logits_scaling": 8.0},
    "Phi": SIZES,  # the one with a bias in its head
}


def build(name: str, **more: Any) -> nn.Module:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**NETWORKS[name] | more)
    network = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def tokens() -> torch.Tensor:
    return torch.randint(3, 67, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_head_gives_the_logits_of_the_network(name: str) -> None:
    network = build(name)
    head = find_lm_head(network)
    hidden = last_hidden_state(network, {"input_ids": tokens()})
    assert hidden.shape == (2, 9, 32)
    torch.testing.assert_close(head.logits(hidden), network(tokens()).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_and_its_gradients_are_those_of_full_logits(name: str) -> None:
    network = build(name)
    head, ids = find_lm_head(network), tokens()
    weights = torch.rand(ids[:, 1:].shape).round()

    hidden = last_hidden_state(network, {"input_ids": ids})[:, :-1]
    total, _ = head.cross_entropy(hidden.flatten(0, 1), ids[:, 1:].flatten(), weights.flatten(), chunk=5)
    total.backward()
    got = {n: p.grad for n, p in network.named_parameters()}
    network.zero_grad()
    log_probs = torch.log_softmax(network(ids).logits[:, :-1], dim=-1).gather(2, ids[:, 1:, None]).squeeze(2)
    plain = -(log_probs * weights).sum()
    plain.backward()

    torch.testing.assert_close(total, plain, rtol=1e-5, atol=1e-5)
    for label, parameter in network.named_parameters():
        torch.testing.assert_close(got[label], parameter.grad, rtol=1e-4, atol=1e-4, msg=lambda m, n=label: f"{n}: {m}")


def test_a_soft_cap_is_found() -> None:
    network = build("Gemma2")
    logits = find_lm_head(network).logits(last_hidden_state(network, {"input_ids": tokens()}))
    assert logits.abs().max() <= 0.5


class Odd(transformers.LlamaForCausalLM):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits + 0.1 * output.logits**2
        return output


def test_an_unknown_step_between_hidden_states_and_logits_is_taken_as_the_network_takes_it() -> None:
    network, ids = Odd(transformers.LlamaConfig(**NETWORKS["Llama"])).eval(), tokens()
    head = find_lm_head(network)
    assert not head.is_plain
    hidden = last_hidden_state(network, {"input_ids": ids})
    total, _ = head.cross_entropy(hidden.flatten(0, 1), ids.flatten(), torch.ones(ids.numel()), chunk=7)
    plain = nn.functional.cross_entropy(network(ids).logits.flatten(0, 1), ids.flatten(), reduction="sum")
    torch.testing.assert_close(total, plain)
    total.backward()
    got = {name: weight.grad for name, weight in network.named_parameters()}
    network.zero_grad()
    plain.backward()
    for name, weight in network.named_parameters():
        torch.testing.assert_close(got[name], weight.grad, rtol=1e-4, atol=1e-4)


class Reminded(transformers.LlamaForCausalLM):
    def forward(self, input_ids: torch.Tensor, **kwargs: Any) -> Any:
        output = super().forward(input_ids, **kwargs)
        output.logits = output.logits + torch.nn.functional.one_hot(input_ids, 67)[:, -output.logits.shape[1] :]
        return output


def test_logits_that_do_not_follow_from_hidden_states_are_refused() -> None:
    with pytest.raises(RecipeError, match="Reminded does more between its hidden states and its logits"):
        find_lm_head(Reminded(transformers.LlamaConfig(**NETWORKS["Llama"])))


def test_looking_for_the_head_uses_no_random_numbers() -> None:
    network = build("GPT2").train()
    before = torch.get_rng_state()
    find_lm_head(network)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("trained", [["lm_head"], None], ids=["copied", "untouched"])
def test_a_network_inside_peft_keeps_its_head(trained: list[str] | None) -> None:
    network = get_peft_model(build("Llama", tie_word_embeddings=False), LoraConfig(modules_to_save=trained))
    head = find_lm_head(network)
    assert head.is_plain
    assert head.module.weight.requires_grad == bool(trained)
    hidden = last_hidden_state(network, {"input_ids": tokens()})
    torch.testing.assert_close(head.logits(hidden), network(tokens()).logits, rtol=1e-5, atol=1e-5)


def test_an_adapted_head_is_called_rather_than_multiplied_by() -> None:
    network = get_peft_model(build("Llama", tie_word_embeddings=False), LoraConfig(target_modules=["lm_head"]))
    nn.init.normal_(network.base_model.model.lm_head.lora_B["default"].weight)
    head, ids = find_lm_head(network), tokens()
    assert not head.is_plain
    hidden = last_hidden_state(network, {"input_ids": ids})
    total, _ = head.cross_entropy(hidden.flatten(0, 1), ids.flatten(), torch.ones(ids.numel()), chunk=7)
    plain = nn.functional.cross_entropy(network(ids).logits.flatten(0, 1), ids.flatten(), reduction="sum")
    torch.testing.assert_close(total, plain)
    total.backward()
    assert network.base_model.model.lm_head.lora_A["default"].weight.grad.abs().sum() > 0


def test_virtual_tokens_are_cut_off() -> None:
    config = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=5)
    network = get_peft_model(build("Llama"), config)
    inputs = {"input_ids": tokens(), "attention_mask": torch.ones_like(tokens())}
    hidden = last_hidden_state(network, inputs)
    assert hidden.shape == (2, 9, 32)
    torch.testing.assert_close(
        find_lm_head(network).logits(hidden), network(**inputs).logits[:, 5:], rtol=1e-5, atol=1e-5
    )


def test_weights_that_are_not_finite_are_named_and_not_the_architecture():
    network = transformers.LlamaForCausalLM(transformers.LlamaConfig(**NETWORKS["Llama"]))
    with torch.no_grad():
        network.model.norm.weight[0] = float("nan")
    with pytest.raises(NumericsError, match="not finite"):
        find_lm_head(network)
