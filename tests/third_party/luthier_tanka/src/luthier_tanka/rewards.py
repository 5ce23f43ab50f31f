"""What a tanka is worth, and how much better one is than another."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def five_lines(prompt: Any, answers: list[str], example: Any, *, lines: int = 5) -> list[float]:
    """1 for a poem of so many lines, less for each line too many or too few: a reward for method=grpo."""
    counts = [len([line for line in answer.splitlines() if line.strip()]) for answer in answers]
    return [max(0.0, 1.0 - abs(count - lines) / lines) for count in counts]


def ranked(rewarded: Any, *, spread: float = 1.0) -> Tensor:
    """The share of the other poems to the same prompt that one beats, less the share that beat it: an advantage."""
    ahead = rewarded.penalised_rewards.unsqueeze(-1) - rewarded.penalised_rewards.unsqueeze(-2)
    return spread * ahead.sign().nan_to_num().mean(-1)
