"""What shows that a reward is being gamed before the reward itself does: length, repetition, surprise, form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from luthier.api import PolicyTokens
from luthier_reward.divergence import k3

if TYPE_CHECKING:
    from luthier_reward.prompt_groups import Group

RUN = 4
"""Tokens of a run that counts as repeated when it comes again."""


def repetition(ids: Sequence[int]) -> float:
    """The share of an answer's runs of four tokens that stood in it before; 0 where it is shorter."""
    runs = Counter(tuple(ids[start : start + RUN]) for start in range(len(ids) - RUN + 1))
    total = sum(runs.values())
    return (total - len(runs)) / total if total else 0.0


def told(group: Group) -> dict[str, float]:
    """Sums over the answers of a group, and the counts to divide them by; every group has the same names."""
    answers, judged = group.answers, group.judged
    scores = [score for score in judged.scores if score is not None]
    return {
        "groups": 1.0,
        "written": float(len(answers)),
        "scored": float(len(scores)),
        "unscored": float(len(answers) - len(scores)),
        "reward": float(np.sum(scores)) if scores else 0.0,
        "spread": float(np.std(scores)) if scores else 0.0,
        "alike": float(len(scores) > 0 and max(scores) == min(scores)),
        "resampled": float(group.tries),
        "tokens": float(sum(len(answer.ids) for answer in answers)),
        "finished": float(sum(answer.finish == "stop" for answer in answers)),
        "repetition": float(sum(repetition(answer.ids) for answer in answers)),
        "surprise": -float(sum(sum(answer.logprobs) for answer in answers)),
        "formed": float(sum(judged.formed)) if judged.formed is not None else float(len(answers)),
    }


METRICS = {
    "reward": ("reward", "scored"),
    "reward_spread": ("spread", "groups"),
    "groups_alike": ("alike", "groups"),
    "resampled": ("resampled", "groups"),
    "without_score": ("unscored", "written"),
    "answer_tokens": ("tokens", "written"),
    "finished": ("finished", "written"),
    "repetition": ("repetition", "written"),
    "entropy": ("surprise", "tokens"),
    "format_rate": ("formed", "written"),
}
"""Metrics of a step: the sum and the count of `told` that each is the ratio of. The entropy is estimated by the mean
of -log p of the tokens that were drawn."""


def of_groups(values: Mapping[str, Tensor], nothing: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Metrics of the groups of a batch; all 0, as `nothing` is, for one that has none."""
    return {
        name: (values[above].sum(), values[below].sum()) if values else (nothing, nothing)
        for name, (above, below) in METRICS.items()
    }


def of_tokens(tokens: PolicyTokens, drawn: Tensor, reference: Tensor | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Metrics of the tokens that are trained on; `drawn` and `reference` are float32 [n], None where nobody asks."""
    now, count = tokens.log_probs.detach(), torch.full_like(tokens.count, len(tokens.log_probs))
    told = {
        "clipped": (tokens.clipped.float().sum() if tokens.clipped is not None else 0 * count, count),
        "ratio": (tokens.log_ratio.detach().exp().sum(), count),
        "mismatch": ((tokens.old - drawn).abs().sum(), count),
    }
    return told if reference is None else {**told, "kl": (k3(now - reference).sum(), count)}


def samples(group: Group, step: int, advantages: Sequence[float]) -> list[dict[str, Any]]:
    """The answers of a group as rows of a table."""
    return [
        {
            "step": step,
            "example": group.where,
            "prompt": str(group.prompt[-1].get("content") or "") if group.prompt else "",
            "answer": answer.text,
            "reward": score,
            **{f"reward/{name}": scores[number] for name, scores in group.judged.parts.items()},
            "advantage": round(float(advantages[number]), 4) if score is not None else None,
            "tokens": len(answer.ids),
            "finish": answer.finish,
        }
        for number, (answer, score) in enumerate(zip(group.answers, group.judged.scores, strict=True))
    ]
