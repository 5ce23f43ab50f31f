"""Evaluation by reward: greedy answers to held-out prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from luthier.api import Example, Measure, ParsingReward, Reward, Rollout, ratio, row_means
from luthier_reward.prompt_groups import Group
from luthier_reward.reward_runner import RewardRunner
from luthier_reward.sampled_answers import greedy_answers


def measures(reward: Reward) -> Mapping[str, Measure]:
    """The measures of held-out answers by name; `format_rate` only for a reward that parses answers."""
    always = {"reward": Measure(ratio), "answer_tokens": Measure(ratio, better="lower")}
    return {**always, "format_rate": Measure(ratio)} if isinstance(reward, ParsingReward) else always


def greedy_statistics(
    network: nn.Module,
    prompts: Sequence[NDArray[np.int32]],
    examples: Sequence[Example],
    rollout: Rollout,
    rewards: RewardRunner,
) -> dict[str, NDArray[np.float64]]:
    """The statistics of the greedy answer to each prompt, (sum, weight) in float64 [prompts, 2], by name.

    The loss is the negative reward. An answer without a score has weight 0 in both.
    """
    answers = greedy_answers(rollout, network, prompts)
    numbered = enumerate(zip(prompts, examples, answers, strict=True))
    groups = [Group(ids, index, example, [answer]) for index, (ids, example, answer) in numbered]
    results = rewards([group.reward_request() for group in groups])
    scored = np.array([result.scores[0] is not None for result in results], dtype=np.float64)
    scores = np.array([result.scores[0] or 0.0 for result in results], dtype=np.float64)
    formed = np.array([float(result.formed[0]) if result.formed else 0.0 for result in results], dtype=np.float64)
    lengths = np.array([len(answer.ids) for answer in answers], dtype=np.float64)
    return {
        "loss": np.stack([-scores, scored], 1),
        "reward": np.stack([scores, scored], 1),
        "answer_tokens": row_means(lengths),
        "format_rate": row_means(formed),
    }
