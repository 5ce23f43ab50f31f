"""How good the model's likeliest answers to held-out prompts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.api import Example, Measure, ParsingReward, Reward, ratio
from luthier_reward.prompt_groups import Group
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.rollout import Rollout


def measures(reward: Reward) -> Mapping[str, Measure]:
    """What is measured of answers; whether they can be read only where the reward reads something."""
    found = {"reward": Measure(ratio), "answer_tokens": Measure(ratio, better="lower")}
    return {**found, "format_rate": Measure(ratio)} if isinstance(reward, ParsingReward) else found


def judged(
    network: nn.Module,
    prompts: Sequence[NDArray[np.int32]],
    examples: Sequence[Example],
    rollout: Rollout,
    jury: RewardRunner,
) -> dict[str, NDArray[np.float64]]:
    """The statistics of each prompt, (sum, weight) in [prompts, 2], of the likeliest answer to it.

    The loss is less the reward. An answer without a reward counts nowhere.
    """
    written = rollout.likeliest(network, prompts)
    each = enumerate(zip(prompts, examples, written, strict=True))
    groups = [Group(ids, number, example, [answer]) for number, (ids, example, answer) in each]
    said = jury([group.asked() for group in groups])
    known = np.array([one.scores[0] is not None for one in said], dtype=np.float64)
    scores = np.array([one.scores[0] or 0.0 for one in said], dtype=np.float64)
    formed = np.array([float(one.formed[0]) if one.formed else 0.0 for one in said], dtype=np.float64)
    lengths = np.array([len(answer.ids) for answer in written], dtype=np.float64)
    ones = np.ones(len(groups))
    return {
        "loss": np.stack([-scores, known], 1),
        "reward": np.stack([scores, known], 1),
        "answer_tokens": np.stack([lengths, ones], 1),
        "format_rate": np.stack([formed, ones], 1),
    }
