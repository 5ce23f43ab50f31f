"""Metrics that show reward hacking before the reward does: length, repetition, entropy, format, KL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from luthier.api import PolicyTokens
from luthier_reward.divergence import k3
from luthier_reward.prompt_groups import Group

NGRAM = 4
"""Tokens of an n-gram that counts as repeated when it occurs again."""


def repetition(ids: Sequence[int]) -> float:
    """The share of an answer's 4-grams that occurred in it before; 0 for an answer of fewer tokens."""
    ngrams = Counter(tuple(ids[start : start + NGRAM]) for start in range(len(ids) - NGRAM + 1))
    total = sum(ngrams.values())
    return (total - len(ngrams)) / total if total else 0.0


def group_statistics(group: Group) -> dict[str, float]:
    """Sums over the answers of a group, and the counts to divide them by; every group has the same keys."""
    answers, results = group.answers, group.rewards
    scores = [score for score in results.scores if score is not None]
    return {
        "groups": 1.0,
        "written": float(len(answers)),
        "scored": float(len(scores)),
        "unscored": float(len(answers) - len(scores)),
        "reward": float(np.sum(scores)) if scores else 0.0,
        "spread": float(np.std(scores)) if scores else 0.0,
        "alike": float(len(scores) > 0 and max(scores) == min(scores)),
        "resampled": float(group.resamples),
        "tokens": float(sum(len(answer.ids) for answer in answers)),
        "finished": float(sum(answer.finish == "stop" for answer in answers)),
        "repetition": float(sum(repetition(answer.ids) for answer in answers)),
        "surprise": -float(sum(sum(answer.logprobs) for answer in answers)),
        "formed": float(sum(results.formed)) if results.formed is not None else float(len(answers)),
    }


METRICS = {
    "reward": ("reward", "scored"),
    "reward_std": ("spread", "groups"),
    "zero_std_groups": ("alike", "groups"),
    "resampled": ("resampled", "groups"),
    "unscored": ("unscored", "written"),
    "answer_tokens": ("tokens", "written"),
    "finished": ("finished", "written"),
    "repetition": ("repetition", "written"),
    "entropy": ("surprise", "tokens"),
    "format_rate": ("formed", "written"),
}
"""The metrics of a step, each the ratio of two keys of `group_statistics`.

`zero_std_groups` is the share of groups whose answers all have the same reward, `unscored` the share of answers
without a score. The entropy is a Monte Carlo estimate: the mean of -log p of the sampled tokens, in nats.
"""


def group_metrics(values: Mapping[str, Tensor], zero: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The metrics of a batch's groups as (sum, count); `zero` for a batch without groups."""
    return {
        name: (values[total].sum(), values[count].sum()) if values else (zero, zero)
        for name, (total, count) in METRICS.items()
    }


def token_metrics(
    tokens: PolicyTokens, rollout_log_probs: Tensor, reference: Tensor | None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Metrics of the trained tokens as (sum, count).

    `clip_fraction` is the share of clipped tokens, `importance_ratio` the mean of π_θ / π_old, `rollout_mismatch` the
    mean of |log π_old - log π_rollout| in nats, and `kl` the k3 estimate of KL(π_θ ‖ π_ref), absent without a
    reference. `rollout_log_probs` and `reference` are float32 [n].
    """
    current, count = tokens.log_probs.detach(), torch.full_like(tokens.token_count, len(tokens.log_probs))
    metrics = {
        "clip_fraction": (tokens.clipped.float().sum() if tokens.clipped is not None else 0 * count, count),
        "importance_ratio": (tokens.log_ratio.detach().exp().sum(), count),
        "rollout_mismatch": ((tokens.old_log_probs - rollout_log_probs).abs().sum(), count),
    }
    return metrics if reference is None else {**metrics, "kl": (k3(current - reference).sum(), count)}


def sample_rows(group: Group, step: int, advantages: Sequence[float]) -> list[dict[str, Any]]:
    """The answers of a group as rows of the table of samples; `advantages` are those of the answers' first tokens."""
    return [
        {
            "step": step,
            "example": group.example_name,
            "prompt": str(group.prompt[-1].get("content") or "") if group.prompt else "",
            "answer": answer.text,
            "reward": score,
            **{f"reward/{name}": scores[index] for name, scores in group.rewards.parts.items()},
            "advantage": round(float(advantages[index]), 4) if score is not None else None,
            "tokens": len(answer.ids),
            "finish": answer.finish,
        }
        for index, (answer, score) in enumerate(zip(group.answers, group.rewards.scores, strict=True))
    ]
