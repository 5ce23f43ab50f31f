"""Notice when chosen answers become less likely together with the rejected ones (Razin et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LAST = 0.25  # of the steps are looked at
FEWEST = 8  # steps, before anything is said


class Displacement:
    """Remembers the mean log-ratio of chosen and rejected answers to the reference, step by step.

    Each step has other pairs, but each is compared with its own reference, so that the steps can be compared.
    """

    def __init__(self) -> None:
        self._seen: list[Tensor] = []

    def see(self, metrics: Mapping[str, Tensor]) -> None:
        """The metrics of an optimizer step; those of an objective without a reference say nothing."""
        if {"chosen_ratio", "rejected_ratio"} <= metrics.keys():
            self._seen.append(torch.stack([metrics["chosen_ratio"], metrics["rejected_ratio"]]).detach())

    def warnings(self) -> list[str]:
        """A sentence where both have fallen clearly: by more than two standard errors of the last steps."""
        if len(self._seen) < FEWEST:
            return []
        last = torch.stack(self._seen[-max(FEWEST // 2, int(LAST * len(self._seen))) :]).float().cpu()
        mean, error = last.mean(0), last.std(0) / len(last) ** 0.5
        if not bool((mean + 2 * error < 0).all()):
            return []
        chosen, rejected = mean.tolist()
        return [
            "Chosen answers became less likely together with the rejected ones (likelihood displacement): log-ratios "
            f"to the reference of {chosen:.2f} and {rejected:.2f} nats an answer over the last {len(last)} steps. Try "
            "nca, apo_zero, a larger beta, or a mixture with likelihood_of_chosen."
        ]
