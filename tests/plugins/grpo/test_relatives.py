"""Every relative of GRPO trains on its own advantage and its own objective, worked out here from the papers' formulas.

Each run takes two steps on the same answers, so that the ratio of the second is not 1. What the run hands to its
advantage and its objective is written down, and what they make of it is compared with a plain computation in float64.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from luthier.api import PolicyTokens, RewardedAnswers
from luthier.testing.adaptation import adapt
from luthier.testing.twin import twin

TINY = (
    "method=grpo", "method/reward=length", "method.reward.most=3", "method.reward.slack=9", "stages=[fit]",
    "batch.packing=false", "batch.size=2", "batch.micro=2", "method.group=3", "method.rollout.max_new_tokens=10",
    "method.samples_every=1", "optimizer.lr=0.01", "optimizer.weight_decay=0", "trainer.epochs=4",
    "trainer.max_steps=2", "method.iterations=2",
)  # fmt: skip
LIMIT = 10


def grpo(rewarded: RewardedAnswers) -> Tensor:
    return dr_grpo(rewarded) / (rewarded.rewards.double().std(-1, keepdim=True) + 1e-4)


def dr_grpo(rewarded: RewardedAnswers) -> Tensor:
    rewards = rewarded.rewards.double()
    return rewards - rewards.mean(-1, keepdim=True)


def rloo(rewarded: RewardedAnswers) -> Tensor:
    rewards = rewarded.rewards.double()
    others = torch.stack([torch.cat([each[:n], each[n + 1 :]]).mean() for each in rewards for n in range(len(each))])
    return rewards - others.view(rewards.shape)


def remax(rewarded: RewardedAnswers) -> Tensor:
    return rewarded.rewards.double() - rewarded.greedy_rewards().double().unsqueeze(-1)


def reinforce_pp(rewarded: RewardedAnswers) -> Tensor:
    """Of the first step: the policy is the reference still, and its KL penalties are 0."""
    assert rewarded.penalties.abs().max() < 1e-6
    of_tokens = torch.repeat_interleave(rewarded.rewards.flatten(), rewarded.lengths.flatten()).double()
    return (rewarded.rewards.double() - of_tokens.mean()) / of_tokens.std(correction=0)


def clipped(tokens: PolicyTokens, low: float, high: float) -> Tensor:
    return _clipped((tokens.log_probs - tokens.old_log_probs).double().exp(), tokens, low, high)


def of_sequences(tokens: PolicyTokens, low: float, high: float) -> Tensor:
    log_ratio = (tokens.log_probs - tokens.old_log_probs).double()
    means = torch.stack([log_ratio[tokens.answer_index == answer].mean() for answer in tokens.answer_index])
    return _clipped(means.exp(), tokens, low, high)


def cispo(tokens: PolicyTokens, low: float, high: float) -> Tensor:
    ratio = (tokens.log_probs - tokens.old_log_probs).double().exp()
    return -ratio.clamp(1 - low, 1 + high) * tokens.advantages * tokens.log_probs


def _clipped(ratio: Tensor, tokens: PolicyTokens, low: float, high: float) -> Tensor:
    held = ratio.clamp(1 - low, 1 + high)
    return -torch.minimum(ratio * tokens.advantages, held * tokens.advantages)


def by_answer(costs: Tensor, tokens: PolicyTokens) -> float:
    return float(
        torch.stack([costs[tokens.answer_index == answer].mean() for answer in tokens.answer_index.unique()]).mean()
    )


def by_token(costs: Tensor, tokens: PolicyTokens) -> float:
    return float(costs.mean())


def by_limit(costs: Tensor, tokens: PolicyTokens) -> float:
    return float(costs.sum() / LIMIT / len(tokens.answer_index.unique()))


RELATIVES: dict[str, tuple[tuple[str, ...], Any, Any]] = {
    "Dr. GRPO": (("method/advantage=dr_grpo", "method/objective=dr_grpo"), dr_grpo, (clipped, 0.2, 0.2, by_limit)),
    "RLOO": (("method/advantage=rloo", "method/kl=k2"), rloo, (clipped, 0.2, 0.2, by_answer)),
    "REINFORCE++": (("method/advantage=reinforce_pp", "method/kl=k1"), reinforce_pp, (clipped, 0.2, 0.2, by_answer)),
    "ReMax": (("method/advantage=remax",), remax, (clipped, 0.2, 0.2, by_answer)),
    "GSPO": (("method/objective=gspo",), grpo, (of_sequences, 3e-4, 4e-4, by_answer)),
    "DAPO": (
        ("method/objective=dapo", "method.overlong_tokens=4", "method.resample=2"), grpo, (clipped, 0.2, 0.28, by_token)
    ),
    "CISPO": (("method/objective=cispo", "method.entropy=0.01"), grpo, (cispo, 1.0, 4.0, by_token)),
}  # fmt: skip


@pytest.mark.parametrize("relative", RELATIVES)
def test_every_relative_of_grpo_trains_on_its_own_objective(tmp_path: Path, relative: str) -> None:
    words, advantage, (cost, low, high, mean) = RELATIVES[relative]
    made = twin(tmp_path / "run", *TINY, *words)
    before = {name: weight.detach().clone() for name, weight in adapt(made).named_parameters()}
    rewarded, tokens = watched(made.method.rollouts, "advantage"), watched(made.method, "objective")
    made.carry_out()
    assert made.method.facts["Reward"].endswith(" 0 without a score")

    first = rewarded[0]
    expected = advantage(first)
    assert expected.abs().max() > 0.01, "there is something to learn"
    given = made_of(made.method.rollouts.advantage, first)
    torch.testing.assert_close(given.double(), expected, atol=1e-3, rtol=1e-3)
    for step in tokens:  # each token was trained on with the advantage of its answer
        laid = torch.repeat_interleave(given.flatten(), first.lengths.flatten())
        torch.testing.assert_close(step.advantages[step.answer_index.argsort(stable=True)], laid, atol=1e-4, rtol=1e-4)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 2
    del tokens[2:]  # the weights that are saved are tried once more
    for loss, step in zip(losses, tokens, strict=True):
        costs = cost(step, low, high) * step.importance_weights + step.penalties
        assert loss == pytest.approx(mean(costs.detach().double(), step), abs=1e-5, rel=1e-4)
    assert (tokens[1].log_probs - tokens[1].old_log_probs).abs().max() > 1e-3, (
        "the second step is off the policy of the answers"
    )
    after = dict(made.method.network.named_parameters())
    assert {name for name, weight in before.items() if not torch.equal(weight, after[name])} == before.keys()


def test_answers_that_ran_out_of_tokens_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    """Each answer of this model is cut off: with `mask_truncated` nothing is left to train on."""
    made = twin(tmp_path / "run", *TINY, "method.mask_truncated=true")
    before = {name: weight.detach().clone() for name, weight in adapt(made).named_parameters()}
    made.carry_out()
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(step["finished"], step["gradient_norm"]) for step in steps] == [(0, 0), (0, 0)]
    after = dict(made.method.network.named_parameters())
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())


def watched(method: Any, name: str) -> list[Any]:
    """What one of the method's functions is called with from now on; it is called as it would be."""
    seen: list[Any] = []
    function: Callable[[Any], Any] = getattr(method, name)

    def watch(given: Any) -> Any:
        seen.append(given)
        if isinstance(given, RewardedAnswers):
            given.greedy_rewards = cache(given.greedy_rewards)  # of the network as it is now
        return function(given)

    setattr(method, name, watch)
    return seen


def made_of(advantage: Callable[[RewardedAnswers], Tensor], rewarded: RewardedAnswers) -> Tensor:
    found = advantage(rewarded)
    return found if found.dim() == 2 else found[..., 0]
