"""The answers that a rollout samples, checked where they are taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from luthier.api import Answer, Rollout, misreturned

Prompts = Sequence[NDArray[np.int32]]


def sampled_answers(
    rollout: Rollout, network: nn.Module, prompts: Prompts, numbers: Sequence[int], count: int, seed: int
) -> list[Answer]:
    """`count` answers to each prompt; PluginError that names the rollout where it gives anything else.

    It is given prompts of its own: one that it changes changes nothing of what is trained on.
    """
    answers = rollout(network, [prompt.copy() for prompt in prompts], numbers, count, seed)
    expected = f"{count} answers to each of {len(prompts)} prompts"
    if not isinstance(answers, list | tuple):
        raise misreturned(rollout, expected, answers)
    if odd := [one for one in answers if not isinstance(one, Answer)]:
        raise misreturned(rollout, f"{expected}, each an Answer", odd[0])
    if len(answers) != count * len(prompts):
        raise misreturned(rollout, expected, answers, shown=f"{len(answers)} answers")
    return [_with_finite(answer, rollout, expected) for answer in answers]


def greedy_answers(rollout: Rollout, network: nn.Module, prompts: Prompts) -> list[Answer]:
    """One answer to each prompt at temperature 0; PluginError that names the rollout where it gives anything else."""
    answers = rollout.greedy(network, [prompt.copy() for prompt in prompts])
    given = list(answers) if isinstance(answers, list | tuple) else []
    if len(given) != len(prompts) or not all(isinstance(one, Answer) for one in given):
        raise misreturned(rollout.greedy, f"an Answer to each of {len(prompts)} prompts", answers)
    return given


def _with_finite(answer: Answer, rollout: Rollout, expected: str) -> Answer:
    values = torch.tensor(answer.sampling_logprobs, dtype=torch.float32)
    if len(values) != len(answer.ids) or not values.isfinite().all():
        shown = f"one of {len(answer.ids)} ids with {values[:4].tolist()}"
        raise misreturned(
            rollout, f"{expected}, each with a finite `sampling_logprobs` of each id", answer, shown=shown
        )
    return answer
