"""Each formula by hand, and by TRL where it has it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from luthier.contracts import policy_gradients
from luthier.contracts.policy_gradients import PolicyTokens, RewardedAnswers
from luthier.errors import PluginError, RecipeError
from luthier_reward import advantages, divergence
from luthier_reward.advantage_inputs import AdvantageInputs, advantage_inputs
from luthier_reward.policy_losses import cispo, clipped, sequence_clipped
from tests.plugins.grpo import fixed_policy_tokens as fixed

TRL = json.loads(Path(__file__).with_name("trl_reference.json").read_text(encoding="utf-8"))
NAN = float("nan")


def tokens(log_probs: torch.Tensor, *, cap: float = 0.0, k3: float = 0.0, entropy: float = 0.0) -> PolicyTokens:
    """The tokens of fixed_policy_tokens; `cap` is that of the importance weights, the others weight penalties."""
    mask = fixed.mask().bool()
    names = ("old", "reference", "rollout_log_probs", "entropies")
    flat = {name: getattr(fixed, name)()[mask] for name in names}
    current = log_probs[mask]
    ratio = (flat["old"] - flat["rollout_log_probs"]).exp()
    weights = ratio.clamp(max=cap) if cap else torch.ones_like(current)
    penalties = k3 * divergence.k3(current - flat["reference"]) - entropy * flat["entropies"]
    answer = torch.arange(4).repeat_interleave(torch.tensor(fixed.LENGTHS))
    of_answers = torch.tensor(fixed.ADVANTAGES, dtype=torch.float64)
    count = torch.tensor(float(sum(fixed.LENGTHS)))
    return PolicyTokens(
        current, flat["old"], of_answers[answer], answer, weights, penalties, torch.tensor(4.0), count, 5
    )


@pytest.mark.parametrize(
    ("case", "objective", "further"),
    [
        ("clipped", clipped, {}),
        ("clipped higher, a k3 penalty", lambda t: clipped(t, high=0.28), {"k3": 0.04}),
        ("dapo", lambda t: clipped(t, high=0.28, average="token"), {}),
        ("dr_grpo", lambda t: clipped(t, average="constant"), {}),
        ("gspo", lambda t: sequence_clipped(t, low=0.03, high=0.04), {}),
        ("cispo", lambda t: cispo(t, high=0.2), {}),
        ("corrected", clipped, {"cap": 2.0, "k3": 0.1}),
        ("entropy", lambda t: clipped(t, average="token"), {"entropy": 0.01}),
    ],
)
def test_a_loss_and_its_gradient_are_those_of_trl(case, objective, further):
    log_probs = fixed.log_probs().requires_grad_()
    total, weight = objective(tokens(log_probs, **further))
    (total / weight).backward()
    assert (total / weight).item() == pytest.approx(TRL["cases"][case]["loss"], abs=1e-9)
    assert torch.allclose(log_probs.grad, torch.tensor(TRL["cases"][case]["gradient"], dtype=torch.float64), atol=1e-9)


def two(log_ratios: list[float], of_answers: list[float], answer: list[int]) -> PolicyTokens:
    """Tokens of two answers whose old probability is ½."""
    old = torch.full((len(log_ratios),), math.log(0.5), dtype=torch.float64)
    ones, numbers = torch.ones_like(old), torch.tensor(answer)
    each = torch.tensor(of_answers, dtype=torch.float64)[numbers]
    current = (old + torch.tensor(log_ratios, dtype=torch.float64)).requires_grad_()
    return PolicyTokens(current, old, each, numbers, ones, 0 * ones, torch.tensor(2.0), torch.tensor(3.0), 10)


RATIOS = [math.log(1.5), math.log(0.9), math.log(0.5)]


def test_the_clipped_ratio_by_hand():
    # answer 0: A = 2, ratios 1.5 (held at 1.2) and 0.9; answer 1: A = -1, ratio 0.5 (held at 0.8, which is worse)
    total, weight = clipped(two(RATIOS, [2.0, -1.0], [0, 0, 1]))
    assert total.item() == pytest.approx((-2.4 - 1.8) / 2 + 0.8)
    assert weight.item() == 2
    total, weight = clipped(two(RATIOS, [2.0, -1.0], [0, 0, 1]), high=0.6, average="token")
    assert (total.item(), weight.item()) == (pytest.approx(-3.0 - 1.8 + 0.8), 3)
    total, weight = clipped(two(RATIOS, [2.0, -1.0], [0, 0, 1]), average="constant")
    assert (total.item(), weight.item()) == (pytest.approx((-2.4 - 1.8 + 0.8) / 10), 2)


def test_clipped_tokens_are_marked_and_have_no_gradient():
    given = two(RATIOS, [2.0, -1.0], [0, 0, 1])
    total, _ = clipped(given, average="token")
    assert given.clipped.tolist() == [True, False, True]
    (gradient,) = torch.autograd.grad(total, given.log_probs)
    assert gradient.tolist() == pytest.approx([0.0, -0.9 * 2.0, 0.0])


def test_the_sequence_ratio_is_the_geometric_mean_by_hand():
    total, _ = sequence_clipped(two(RATIOS, [2.0, -1.0], [0, 0, 1]), low=0.1, high=0.1)
    assert math.sqrt(1.5 * 0.9) > 1.1
    assert total.item() == pytest.approx(-1.1 * 2 + 0.9)


def test_cispo_keeps_the_gradient_of_every_token_by_hand():
    given = two(RATIOS, [2.0, -1.0], [0, 0, 1])
    total, weight = cispo(given, low=0.3, high=0.2)
    (gradient,) = torch.autograd.grad(total, given.log_probs)
    assert gradient.tolist() == pytest.approx([-1.2 * 2, -0.9 * 2, 0.7])
    assert weight.item() == 3


def test_importance_weights_multiply_and_penalties_are_added():
    given = two([0.0, 0.0, 0.0], [1.0, 1.0], [0, 0, 1])
    given.importance_weights, given.penalties = torch.tensor([2.0, 1.0, 0.5]), torch.tensor([0.1, 0.2, 0.3])
    total, _ = clipped(given, average="token")
    assert total.item() == pytest.approx(-2.0 - 1.0 - 0.5 + 0.6)


def test_every_average_is_one_that_a_recipe_can_name():
    assert set(policy_gradients._AVERAGES) == set(policy_gradients.LossAverage.__args__)


# Advantages: two prompts, three answers each, of at most two tokens; the last answer has no reward.

REWARDS = torch.tensor([[1.0, 0.0, 0.5], [2.0, 4.0, NAN]])
LENGTHS = torch.tensor([[2, 1, 2], [1, 2, 2]])


def rewarded(penalty: float = 0.0) -> RewardedAnswers:
    there = torch.arange(2) < LENGTHS.unsqueeze(-1)
    values = torch.tensor([0.5, 0.25]).expand(2, 3, 2)
    return RewardedAnswers(REWARDS, penalty * there.float(), LENGTHS, lambda: torch.tensor([0.25, 3.0]), lambda: values)


def close(found: torch.Tensor, wanted: object) -> bool:
    return torch.allclose(found, torch.tensor(wanted), atol=1e-5, equal_nan=True)


def test_group_advantages_by_hand():
    first, second = 0.5 / (0.5 + 1e-4), 1 / (math.sqrt(2) + 1e-4)
    assert close(advantages.grpo(rewarded()), [[first, -first, 0], [-second, second, NAN]])
    assert close(advantages.dr_grpo(rewarded()), [[0.5, -0.5, 0.0], [-1.0, 1.0, NAN]])
    assert close(advantages.rloo(rewarded()), [[0.75, -0.75, 0.0], [-2.0, 2.0, NAN]])
    assert close(advantages.remax(rewarded()), [[0.75, -0.25, 0.25], [-1.0, 1.0, NAN]])


def test_group_advantages_are_those_of_trl():
    group = RewardedAnswers(torch.tensor([[1.0, 0.0, 0.5, NAN]]), torch.zeros(1, 4, 1), torch.ones(1, 4), tuple, tuple)
    assert close(advantages.grpo(group)[0, :3], TRL["advantages"])


def test_penalties_come_off_the_reward_of_the_whole_answer():
    # sums: 1 - 0.2, 0 - 0.1, 0.5 - 0.2; their mean is 1/3
    assert close(advantages.dr_grpo(rewarded(0.1))[0], [0.8 - 1 / 3, -0.1 - 1 / 3, 0.3 - 1 / 3])


def test_groups_without_a_spread_have_no_advantage():
    alike = RewardedAnswers(
        torch.tensor([[1.0, 1.0], [NAN, 3.0]]), torch.zeros(2, 2, 1), torch.ones(2, 2), tuple, tuple
    )
    assert close(advantages.grpo(alike), [[0.0, 0.0], [NAN, 0.0]])
    assert close(advantages.rloo(alike), [[0.0, 0.0], [NAN, 0.0]])


def test_reinforce_pp_normalises_over_the_tokens_of_the_step_by_hand():
    # with a penalty of 0.1 a token: [0.8, 0.9], [-0.1], [0.3, 0.4], [1.9], [3.8, 3.9]
    each = torch.tensor([0.8, 0.9, -0.1, 0.3, 0.4, 1.9, 3.8, 3.9], dtype=torch.float64)
    wanted = (each - each.mean()) / each.std(correction=0)
    found = advantages.reinforce_pp(rewarded(0.1))
    assert close(found[rewarded().token_mask], wanted.float().tolist())
    centred = torch.tensor([0.5, 0.5, -0.5, 0.0, 0.0, -1.0, 1.0, 1.0], dtype=torch.float64)
    wanted = (centred - centred.mean()) / centred.std(correction=0)
    found = advantages.reinforce_pp(rewarded(), baseline=True)
    assert close(found[rewarded().token_mask], wanted.float().tolist())


def test_generalised_advantages_by_hand():
    given = rewarded(0.1)
    found = advantages.gae(given, gamma=0.9, lam=0.5, whiten=False)
    # answer 0 of prompt 0: V = .5, .25; r = -.1 and 1 - .1.  δ2 = .9 - .25, δ1 = -.1 + .9·.25 - .5, A1 = δ1 + .45 δ2
    assert close(found[0, 0], [-0.375 + 0.45 * 0.65, 0.65])
    assert close(given.returns[0, 0], [0.5 - 0.375 + 0.45 * 0.65, 0.9])
    # answer 1 of prompt 0 has one token: A = 0 - .1 - .5
    assert close(found[0, 1], [-0.6, 0.0])
    whitened = advantages.gae(rewarded(0.1), gamma=0.9, lam=0.5)[rewarded().token_mask].double()
    assert whitened.mean().item() == pytest.approx(0, abs=1e-6)
    assert whitened.std(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_normalising_adds_up_over_devices():
    halves = [rewarded(0.1), rewarded(0.3)]
    together = RewardedAnswers(
        torch.cat([each.rewards for each in halves]), torch.cat([each.penalties for each in halves]),
        torch.cat([each.lengths for each in halves]), tuple, tuple,
    )  # fmt: skip
    wanted = advantages.reinforce_pp(together)
    # what each device would be told: the sums over both, first the counts and values, then the squares
    counts = [each.token_mask.double().sum() for each in halves]
    sums = [_ahead(each)[each.token_mask].double().sum() for each in halves]
    mean = sum(sums) / sum(counts)
    squares = [((_ahead(each)[each.token_mask].double() - mean) ** 2).sum() for each in halves]
    answers = iter([torch.stack([sum(counts), sum(sums)]), sum(squares)] * 2)
    for number, each in enumerate(halves):
        each.sum_over_ranks = lambda values: next(answers)
        found = advantages.reinforce_pp(each)
        assert close(found[each.token_mask], wanted[2 * number : 2 * number + 2][each.token_mask].tolist())


def _ahead(given: RewardedAnswers) -> torch.Tensor:
    return given.rewards.unsqueeze(-1) - given.penalties.flip(-1).cumsum(-1).flip(-1)


def test_the_inputs_of_an_advantage_are_found_by_calling_it():
    assert advantage_inputs(advantages.grpo) == AdvantageInputs(greedy=False, values=False)
    assert advantage_inputs(advantages.remax).greedy
    assert advantage_inputs(advantages.gae).values
    with pytest.raises(RecipeError, match="is not an advantage estimator"):
        advantage_inputs(lambda rewarded: rewarded.nothing)
    with pytest.raises(PluginError, match="a finite number per answer"):
        advantage_inputs(lambda rewarded: rewarded.rewards.sum())


def test_divergences_by_hand():
    difference = torch.tensor([0.5, -0.5, 0.0])
    assert close(divergence.k1(difference), [0.5, -0.5, 0.0])
    assert close(divergence.k2(difference), [0.125, 0.125, 0.0])
    assert close(divergence.k3(difference), [math.exp(-0.5) - 0.5, math.exp(0.5) - 1.5, 0.0])
    given = divergence.K3(beta=0.5)
    assert close(given.penalty(torch.tensor([-1.0]), torch.tensor([-1.5])), [0.5 * (math.exp(-0.5) - 0.5)])
    assert (given.in_loss, given.in_reward) == (True, False)
    assert divergence.K1().in_reward
    assert not divergence.NoKLPenalty().active
    assert not divergence.K3(beta=0.0).active
