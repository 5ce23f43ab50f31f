"""The loss of a batch of answers is the formula over plain forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from luthier.contracts.batch import Batch
from luthier.contracts.rewards import RewardResult
from luthier.contracts.sampling import Answer
from luthier.models.lm_head import find_lm_head
from luthier.models.losses import token_entropies
from luthier.testing.twin import twin
from luthier_reward.policy_batches import AnswerSelection, PolicyBatches
from luthier_reward.prompt_groups import Group

PROMPTS = [[5, 9, 14, 3, 7], [4, 11]]
ANSWERS = [[[21, 8, 2], [30, 31, 32, 33], [40]], [[6, 2], [9, 10, 11], [12, 13]]]
ADVANTAGES = [[1.0, -0.5, 0.25], [0.75, -1.0, 0.5]]


def method(folder: Path, *words: str) -> Any:
    made = twin(folder, "method=grpo", "batch.packing=false", *words).method
    made.configure_model()
    return made.eval()


def laid(made: Any) -> Batch:
    groups = [
        Group(
            np.array(prompt, np.int32), number, {"messages": [{"role": "user", "content": "?"}]},
            [Answer(ids, "", [-1.0] * len(ids), [-7.0] * len(ids), "stop") for ids in answers],
            RewardResult([1.0, 0.0, 0.5]),
        )
        for number, (prompt, answers) in enumerate(zip(PROMPTS, ANSWERS, strict=True))
    ]  # fmt: skip
    selections = [AnswerSelection(place, group, [0, 1, 2], [0, 1, 2]) for place, group in enumerate(groups)]
    batches = PolicyBatches([selections])
    batches.set_token_values("advantage", torch.tensor(ADVANTAGES).unsqueeze(-1).expand(2, 3, 4))
    return batches.batches[0]


def plainly(made: Any, prompt: list[int], answer: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """log p of an answer's tokens and the entropies there, from a forward pass of transformers."""
    logits = made.network(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].float()
    every = logits.log_softmax(-1)
    return every.gather(1, torch.tensor(answer).unsqueeze(1)).squeeze(1), -(every.exp() * every).sum(-1)


PAIRS = [(p, a, w) for p, answers, weights in zip(PROMPTS, ANSWERS, ADVANTAGES, strict=True)
         for a, w in zip(answers, weights, strict=True)]  # fmt: skip


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_the_gradient_is_that_of_the_formula_over_plain_forward_passes(tmp_path, adaptation):
    made = method(tmp_path, f"adaptation={adaptation}", "method.entropy=0.5", "method.correction=1.5")
    batch = laid(made)
    assert len(batch.prefix_of) == 6  # each prompt is computed once
    loss = made.loss(batch)
    wanted = torch.zeros(())
    for prompt, answer, weight in PAIRS:
        log_probs, entropies = plainly(made, prompt, answer)
        correction = (log_probs.detach() + 7.0).exp().clamp(max=1.5)
        ratio = (log_probs - log_probs.detach()).exp()
        wanted = wanted + (-weight * correction * ratio - 0.5 * entropies).mean()
    assert loss.weight == 6
    assert loss.sum.item() == pytest.approx(wanted.item(), abs=1e-4)
    weights = [each for each in made.network.parameters() if each.requires_grad]
    ours = torch.autograd.grad(loss.sum, weights, allow_unused=True)
    plain = torch.autograd.grad(wanted, weights, allow_unused=True)
    assert any(gradient is not None and gradient.abs().max() > 1e-4 for gradient in plain)
    for found, expected in zip(ours, plain, strict=True):
        if expected is not None:
            assert torch.allclose(found, expected, atol=1e-5, rtol=1e-3)


def test_the_keys_of_a_prepared_batch_are_those_of_earlier_checkpoints(tmp_path):
    batch = laid(method(tmp_path))
    assert set(batch.extras) == {"answer", "drawn", "advantage"}
    assert set(batch.values) == {
        "groups", "written", "scored", "unscored", "reward", "spread", "alike", "resampled", "tokens", "finished",
        "repetition", "surprise", "formed", "weighing", "weighing_tokens",
    }  # fmt: skip


def test_metrics_are_ratios_over_the_answers(tmp_path):
    made = method(tmp_path)
    means = {name: float(total / count) for name, (total, count) in made.loss(laid(made)).metrics.items()}
    assert means["reward"] == pytest.approx(0.5)
    assert means["answer_tokens"] == pytest.approx(15 / 6)
    assert means["entropy"] == pytest.approx(1.0)  # the mean of -log p of the sampled tokens
    assert means["finished"] == 1.0
    assert means["importance_ratio"] == pytest.approx(1.0)


def test_a_temperature_is_that_of_the_log_probabilities_trained(tmp_path):
    made = method(tmp_path, "method.rollout.temperature=2.0")
    batch = laid(made)
    prompt, answer, _ = PAIRS[0]
    logits = made.network(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].float()
    wanted = (logits / 2).log_softmax(-1).gather(1, torch.tensor(answer).unsqueeze(1)).squeeze(1)
    found = made.token_log_probs(batch).flatten()
    assert torch.allclose(found[found != 0][: len(answer)], wanted, atol=1e-5)


def test_an_empty_batch_has_the_same_metrics_and_a_gradient_of_nothing(tmp_path):
    from luthier.data.collate import collate

    made = method(tmp_path, "method/kl=k3")
    loss = made.loss(collate([[]]))
    assert loss.weight == 0
    loss.sum.backward()
    assert list(loss.metrics) == list(made.loss(laid(made)).metrics)


def test_entropies_and_their_gradients_by_plain_autograd():
    torch.manual_seed(0)
    hidden, head = torch.randn(150, 8, requires_grad=True), torch.randn(20, 8, requires_grad=True)
    bias, incoming = torch.randn(20, requires_grad=True), torch.randn(150)
    for settings in ({}, {"scale": 0.5, "softcap": 3.0, "chunk": 64}):
        found = token_entropies(hidden, head, bias=bias, **settings)
        logits = (hidden @ head.t() + bias) * settings.get("scale", 1.0)
        cap = settings.get("softcap")
        every = (cap * (logits / cap).tanh() if cap else logits).log_softmax(-1)
        wanted = -(every.exp() * every).sum(-1)
        assert torch.allclose(found, wanted, atol=1e-5)
        ours = torch.autograd.grad((found * incoming).sum(), [hidden, head, bias])
        plain = torch.autograd.grad((wanted * incoming).sum(), [hidden, head, bias])
        for mine, theirs in zip(ours, plain, strict=True):
            assert torch.allclose(mine, theirs, atol=1e-4)


def test_a_head_that_is_called_has_the_same_entropies(tmp_path):
    made = method(tmp_path)
    head, rows = find_lm_head(made.network), torch.randn(9, made.network.config.hidden_size)
    wrapped = type(head)(torch.nn.Sequential(head.module), head.scale, head.softcap)
    assert not wrapped.is_plain
    assert torch.allclose(head.entropies(rows), wrapped.entropies(rows, chunk=4), atol=1e-5)
