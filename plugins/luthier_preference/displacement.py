"""Likelihood displacement: chosen answers become less likely together with the rejected ones (Razin et al., 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LAST = 0.25
"""The share of the steps, the last ones, that are tested."""
MIN_STEPS = 8
"""Steps below which nothing is tested."""


class LikelihoodDisplacement:
    """A test for displacement on the mean log-ratios of chosen and rejected answers to the reference, per step.

    The pairs differ from step to step, but log-ratios are relative to the reference, so that steps are comparable.
    """

    def __init__(self) -> None:
        self._ratios: list[Tensor] = []

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Record the metrics of an optimizer step; those of an objective without a reference are ignored."""
        if {"chosen_ratio", "rejected_ratio"} <= metrics.keys():
            self._ratios.append(torch.stack([metrics["chosen_ratio"], metrics["rejected_ratio"]]).detach())

    def warnings(self) -> list[str]:
        """A sentence where both means are below 0 by more than two standard errors over the last steps."""
        if len(self._ratios) < MIN_STEPS:
            return []
        last = torch.stack(self._ratios[-max(MIN_STEPS // 2, int(LAST * len(self._ratios))) :]).float().cpu()
        mean, error = last.mean(0), last.std(0) / len(last) ** 0.5
        if not bool((mean + 2 * error < 0).all()):
            return []
        chosen, rejected = mean.tolist()
        return [
            "Chosen answers became less likely together with the rejected ones (likelihood displacement): log-ratios "
            f"to the reference of {chosen:.2f} and {rejected:.2f} nats per answer over the last {len(last)} steps. Try "
            "nca, apo_zero, a larger beta, or a mixture with likelihood_of_chosen."
        ]
